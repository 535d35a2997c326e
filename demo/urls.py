"""Which pages does the demo have?"""

from django.urls import path
from django.views.decorators.csrf import csrf_exempt
from django.views.i18n import set_language

from demo import pages

urlpatterns = [
    path("", pages.home),
    path("time/", pages.time),
    path("slow/", pages.slow),
    path("validators/", pages.validators),
    path("visitor/", pages.visitor),
    path("guestbook/", pages.guestbook),
    path("guestbook/sign/", pages.sign),
    path("language/", pages.language),
    # Choosing a language changes nothing but the chooser's own cookie; a token would keep the page out of every cache.
    path("language/set/", csrf_exempt(set_language)),
    path("picture/", pages.picture),
    path("picture.svg", pages.picture_svg),
    path("never/", pages.never),
    path("cache-status/", pages.cache_status),
    path("favicon.ico", pages.favicon),
]
