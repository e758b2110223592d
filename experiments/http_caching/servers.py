"""The origin and the two shared caches: what they keep, for how long, and what they ask."""

from __future__ import annotations

import os
import time
from collections.abc import Collection
from pathlib import Path

from testbed.daemons.apache import Apache
from testbed.daemons.nginx import Nginx

FRESH_S, LONG_S, GUESSED_SHARE = 10, 60, 0.1
"""Lifetimes that the origin states; the share of a page's age that Apache takes as its guess."""

OLD_S = 1000
"""How long ago the page without a stated lifetime was changed."""

RULES = {
    "fresh": f"max-age={FRESH_S}",
    "dated": f"max-age={FRESH_S}",
    "must": f"max-age={FRESH_S}, must-revalidate",
    "shared": f"max-age={FRESH_S // 2}, s-maxage={LONG_S}",
    "expired": f"max-age={LONG_S}",
    "guessed": "",
    "checked": "no-cache",
    "unstored": "no-store",
    "private": f"private, max-age={LONG_S}",
    "secret": f"max-age={LONG_S}",
    "public": f"public, max-age={LONG_S}",
}
"""Folder of the site → its pages' Cache-Control."""

MORE = {"dated": "etag off;", "expired": "add_header Expires 'Thu, 01 Jan 1970 00:00:00 GMT';"}

SITE, CACHE = Path("/srv/site"), Path("/srv/cache")
OLD_TEXT, NEW_TEXT = "yesterday's news", "today's news, which are longer"


def write_site() -> None:
    """The origin's pages; written now, so that their dates are the run's."""
    for name in RULES:
        (SITE / name).mkdir(parents=True)
        (SITE / name / "page.html").write_text(f"a page of {name}\n")
    (SITE / "fresh" / "aged.html").write_text("a page that has aged\n")
    (SITE / "fresh" / "crowd.html").write_text("a page for a crowd\n")
    (SITE / "fresh" / "news.html").write_text(OLD_TEXT + "\n")
    then_s = time.time() - OLD_S
    os.utime(SITE / "guessed" / "page.html", (then_s, then_s))
    CACHE.mkdir()
    CACHE.chmod(0o777)


def origin(faults: Collection[str]) -> Nginx:
    """The origin's files, each folder with its rule."""
    places = []
    for name, stated in RULES.items():
        rule = "public, max-age=3600" if "careless" in faults else stated
        lines = [f'add_header Cache-Control "{rule}";'] * bool(rule)
        if "no-validators" in faults:
            lines += ["etag off;", "if_modified_since off;", 'add_header Last-Modified "";']
        else:
            lines += [MORE.get(name, "")]
        places.append(f"location /{name}/ {{ {' '.join(lines)} }}")
    return Nginx(f"server {{\n  listen 80;\n  root {SITE};\n  " + "\n  ".join(places) + "\n}")


def apache(target: str, faults: Collection[str]) -> Apache:
    """The shared cache of most steps: Apache before files and application."""
    options = [
        f"CacheRoot {CACHE}",
        *["CacheEnable disk /"] * ("uncached" not in faults),
        "CacheHeader on",
        f"CacheLastModifiedFactor {GUESSED_SHARE}",
        *["CacheStaleOnError off"] * ("no-stale" in faults),
        *["CacheIgnoreCacheControl on"] * ("deaf" in faults),
        *(f"ProxyPass /{page} http://{target}:8000/{page}" for page in ("board", "greeting")),
        f"ProxyPass / http://{target}:80/ retry=0",  # after an error it asks again at once
    ]
    return Apache(options, modules=("proxy", "proxy_http", "cache", "cache_disk"))


def nginx(target: str, faults: Collection[str]) -> Nginx:
    """The other shared cache, at port 81: it keeps responses to POST that allow it."""
    named = "$http_x_forwarded_host" if "keyed" in faults else '""'
    clean = "" if "uncured" in faults else "proxy_set_header X-Forwarded-Host $host;"
    key = "" if "uncured" in faults else " $http_x_forwarded_host"
    kept = 0 if "all-posts" in faults else 1
    always = "proxy_cache_valid 200 204 60s;" if "all-posts" in faults else ""
    page = f"http://{target}:8000/home"
    return Nginx(
        f"""
proxy_cache_path {{state}}/pages keys_zone=pages:1m;
map $request_method $is_post {{
  POST 1;
  default 0;
}}
map "$request_method $request_uri $upstream_http_content_location" $not_kept {{
  "~^POST (?<asked>[^ ]+) (?P=asked)$" 0;
  "~^POST " {kept};
  default 0;
}}
server {{
  listen 81;
  proxy_cache {"off" if "uncached" in faults else "pages"};
  proxy_cache_lock {"off" if "unlocked" in faults else "on"};
  proxy_cache_methods GET HEAD POST;
  proxy_cache_key $request_uri;
  proxy_cache_bypass $is_post;
  proxy_no_cache $not_kept;
  {always}
  location /fresh/ {{
    {"" if "redated" in faults else "proxy_pass_header Date;"}
    proxy_pass http://{target}:80;
  }}
  location /secret/ {{
    proxy_pass http://{target}:80;
  }}
  location = /board {{
    proxy_pass http://{target}:8000;
  }}
  location = /home {{
    set $host_in_key {named};
    proxy_cache_key "$request_uri $host_in_key";
    proxy_set_header Host $host;
    proxy_pass {page};
  }}
  location = /keyed/home {{
    proxy_cache_key "$request_uri{key}";
    proxy_set_header Host $host;
    proxy_pass {page};
  }}
  location = /clean/home {{
    proxy_set_header Host $host;
    {clean}
    proxy_pass {page};
  }}
}}
""",
        port=81,
    )
