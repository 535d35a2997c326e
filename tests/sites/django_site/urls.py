"""Which pages does the test site have?"""

from django.conf.urls.i18n import i18n_patterns
from django.contrib import admin
from django.contrib.staticfiles.views import serve as serve_static
from django.urls import include, path, re_path

from tests.sites.django_site import views

urlpatterns = [
    path("admin/", admin.site.urls),
    path("accounts/", include("django.contrib.auth.urls")),
    path("i18n/", include("django.conf.urls.i18n")),
    re_path(r"^static/(?P<path>.+)$", serve_static, {"insecure": True}),
    path("hits/<slug:name>/", views.hits),
    path("page/<slug:name>/", views.page),
    path("hello/<slug:name>/", views.hello),
    path("hello-for-a-minute/<slug:name>/", views.hello_for_a_minute),
    path("hello-private/<slug:name>/", views.hello_private),
    path("hello-undeclared/<slug:name>/", views.hello_undeclared),
    path("members/<slug:name>/", views.members),
    path("lang/<slug:name>/", views.lang),
    path("zone/<slug:name>/", views.zone),
    path("form/<slug:name>/", views.form),
    path("note/<slug:name>/", views.note),
    path("notify/<slug:name>/", views.notify),
    path("set-cookie/<slug:name>/", views.set_cookie),
    path("set-cookie-public/<slug:name>/", views.set_cookie_public),
    path("cache-page/<slug:name>/", views.cached_by_django),
    path("never-cache/<slug:name>/", views.never_cached),
    path("public/<slug:name>/", views.public),
    path("private/<slug:name>/", views.private),
    path("vary/<slug:name>/", views.varied),
    path("etag/<slug:name>/", views.validated),
    path("gzip/<slug:name>/", views.gzipped),
    path("gone/<slug:name>/", views.gone),
    path("gone-for-a-minute/<slug:name>/", views.gone_for_a_minute),
    path("broken/<slug:name>/", views.broken),
    path("stream/<slug:name>/", views.stream),
    path("poke/<slug:name>/", views.poke),
    path("download/<slug:name>/<str:file>", views.download),
    path("download-chunked/<slug:name>/<str:file>", views.download_chunked),
    path("ranges/<slug:name>/<str:file>", views.ranges),
    path("upload/", views.upload),
    *i18n_patterns(path("translated/<slug:name>/", views.lang)),
]
