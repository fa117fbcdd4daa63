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
openssl rsa -in pkcs8.pem -traditional -aes256 -passout $key -out encrypted-traditional-256.pem
openssl rsa -in pkcs8.pem -traditional -des3 -passout $key -out encrypted-traditional-3des.pem
openssl pkcs12 -export -inkey pkcs8.pem -in daemon.crt -passout $pfx -out modern.pfx
openssl pkcs12 -export -legacy -inkey pkcs8.pem -in daemon.crt -passout $pfx -out legacy.pfx
openssl pkcs12 -export -inkey pkcs8.pem -in daemon.crt -passout pass: -out no-password.pfx
openssl pkcs12 -export -nokeys -in daemon.crt -passout $pfx -out no-key.pfx
openssl req -x509 -newkey rsa:2048 -nodes -days 36500 -subj "/CN=other" -keyout other.pem -out other.crt
openssl req -x509 -newkey rsa:1024 -nodes -days 36500 -subj "/CN=small" -keyout small.pem -out small.crt
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 36500 -subj "/CN=ec" -keyout ec.pem -out ec.crt
openssl pkcs12 -export -inkey ec.pem -in ec.crt -passout $pfx -out ec.pfx
# a chain of three, as an enterprise CA gives it
openssl req -x509 -newkey rsa:2048 -nodes -days 36500 -subj "/CN=root" -keyout root.pem -out root.crt
openssl req -newkey rsa:2048 -nodes -subj "/CN=intermediate" -keyout intermediate.pem -out intermediate.csr
openssl x509 -req -in intermediate.csr -CA root.crt -CAkey root.pem -days 36500 -extfile /dev/stdin -out intermediate.crt <<END
basicConstraints=critical,CA:TRUE
END
openssl req -newkey rsa:2048 -nodes -subj "/CN=chained" -keyout chained.pem -out chained.csr
openssl x509 -req -in chained.csr -CA intermediate.crt -CAkey intermediate.pem -days 36500 -out chained.crt
cat root.crt intermediate.crt > above.crt
openssl pkcs12 -export -inkey chained.pem -in chained.crt -certfile above.crt -passout $pfx -out chain.pfx
rm root.* intermediate.* chained.* above.crt
# what was signed by OpenSSL must verify here, and the other way round
printf 'signed by OpenSSL' > message
openssl dgst -sha256 -sign pkcs8.pem -out message.rs256 message
openssl dgst -sha256 -sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:32 -sign pkcs8.pem -out message.ps256 message
