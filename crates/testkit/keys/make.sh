#!/bin/sh
# Makes the key files of the tests with OpenSSL 3: another implementation than the one that reads them. Throw-away keys.
set -eu
cd "$(dirname "$0")"
key=pass:c4n4ry-key
pfx=pass:c4n4ry-pfx
openssl req -x509 -newkey rsa:2048 -nodes -days 36500 -subj "/CN=daemon" -keyout pkcs8.pem -out daemon.crt
openssl rsa -in pkcs8.pem -traditional -out pkcs1.pem
openssl pkcs8 -topk8 -in pkcs8.pem -v2 aes-256-cbc -v2prf hmacWithSHA256 -passout $key -out encrypted.pem
openssl pkcs8 -topk8 -in pkcs8.pem -v2 des3 -v2prf hmacWithSHA1 -passout $key -out encrypted-3des.pem
openssl pkcs8 -topk8 -in pkcs8.pem -v1 PBE-SHA1-3DES -passout $key -out encrypted-pbes1.pem
openssl rsa -in pkcs8.pem -traditional -aes128 -passout $key -out encrypted-traditional.pem
openssl pkcs12 -export -inkey pkcs8.pem -in daemon.crt -passout $pfx -out modern.pfx
openssl pkcs12 -export -legacy -inkey pkcs8.pem -in daemon.crt -passout $pfx -out legacy.pfx
openssl pkcs12 -export -inkey pkcs8.pem -in daemon.crt -passout pass: -out no-password.pfx
openssl pkcs12 -export -nokeys -in daemon.crt -passout $pfx -out no-key.pfx
openssl req -x509 -newkey rsa:2048 -nodes -days 36500 -subj "/CN=other" -keyout other.pem -out other.crt
openssl req -x509 -newkey rsa:1024 -nodes -days 36500 -subj "/CN=small" -keyout small.pem -out small.crt
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 36500 -subj "/CN=ec" -keyout ec.pem -out ec.crt
openssl pkcs12 -export -inkey ec.pem -in ec.crt -passout $pfx -out ec.pfx
# what was signed by OpenSSL must verify here, and the other way round
printf 'signed by OpenSSL' > message
openssl dgst -sha256 -sign pkcs8.pem -out message.rs256 message
openssl dgst -sha256 -sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:32 -sign pkcs8.pem -out message.ps256 message
