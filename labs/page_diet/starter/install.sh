# Puts the page below /out. It runs before nginx starts, and may read /given and /work.
set -eu

mkdir -p /out/www /out/tls
cp -r /given/page/. /out/www
cp /work/index.html /out/www
cp /given/site.pem /given/site.key /out/tls

# What is in the page? The list is in install.log; see the handout.
ls -lR /given/page
