# Versions of the outside programs that the tests run against; sourced by run.sh and fetch.sh, read by kafka.py.
KAFKA_VERSIONS="3.9.1 4.1.0"
APICURIO_VERSION="2.6.13.Final"
