# Varnish with its builtin rules; only a session cookie keeps a request from the cache.
vcl 4.1;

backend origin {
    .host = "127.0.0.1";
    .port = "$origin";
}

sub vcl_recv {
    # Told beforehand, as nginx is.
    if (req.url ~ "^$uncacheable") {
        return (pass);
    }
    if (req.http.Cookie !~ "sessionid=") {
        unset req.http.Cookie;
    }
}
