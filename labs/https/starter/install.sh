# Installs what nginx needs below /out. It runs before nginx starts, and may read /given.
set -eu

mkdir -p /out/www
cp -r /given/pages/. /out/www

# What is in the given files? The answers are in install.log; see the handout.
for file in /given/cert-*.pem; do
    echo "$file"
    openssl x509 -in "$file" -noout -subject -issuer -enddate
done
