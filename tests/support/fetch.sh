#!/bin/bash
# Fetch what the Kafka tests run against into a cache folder: brokers' jars and the schema registry, by Maven.
#   fetch.sh CACHE
# Finished parts are left alone: CACHE/kafka-V/.complete and CACHE/apicurio-V/.complete.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=tests/support/versions.sh
. "$here/versions.sh"
cache=${1:?usage: fetch.sh CACHE}
mkdir -p "$cache"
cache=$(cd "$cache" && pwd)

# try COMMAND...: a network client gets three chances, then the run fails.
try() {
    local attempt
    for attempt in 1 2 3; do
        if "$@"; then return 0; fi
        echo "fetch: attempt $attempt failed: $*" >&2
        sleep $((attempt * 3))
    done
    return 1
}

fetch_kafka() {
    local folder=$cache/kafka-$1
    if [ -e "$folder/.complete" ]; then return 0; fi
    rm -rf "$folder"
    mkdir -p "$folder"
    cp "$here/kafka-pom.xml" "$folder/pom.xml"
    try mvn -q -B -Dstyle.color=never -f "$folder/pom.xml" "-Dkafka.version=$1" dependency:copy-dependencies \
        -DincludeScope=runtime "-DoutputDirectory=$folder/lib"
    ls "$folder/lib/kafka_2.13-$1.jar" >/dev/null
    touch "$folder/.complete"
}

fetch_apicurio() {
    local folder=$cache/apicurio-$1 artifact=io.apicurio:apicurio-registry-app:$1:tar.gz:all
    if [ -e "$folder/.complete" ]; then return 0; fi
    rm -rf "$folder"
    mkdir -p "$folder"
    try mvn -q -B -Dstyle.color=never org.apache.maven.plugins:maven-dependency-plugin:3.6.1:get "-Dartifact=$artifact" -Dtransitive=false
    try mvn -q -B -Dstyle.color=never org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy "-Dartifact=$artifact" \
        "-DoutputDirectory=$folder"
    tar -xzf "$folder"/*.tar.gz -C "$folder"
    rm -f "$folder"/*.tar.gz
    ls "$folder"/apicurio-registry-app-*-runner.jar >/dev/null
    touch "$folder/.complete"
}

for version in $KAFKA_VERSIONS; do
    fetch_kafka "$version"
done
fetch_apicurio "$APICURIO_VERSION"
