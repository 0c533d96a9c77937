"""A broker that asks who you are: one listener a mechanism, access control lists, certificates made by openssl."""

import os
import subprocess

from confluent_kafka.admin import (AclBinding, AclBindingFilter, AclOperation, AclPermissionType, ResourcePatternType,
                                   ResourceType)

import kafka
from process import free_port, temp_folder

PASSWORD = "kL7-plain-and-scram"  # of every user; distinct enough to be searched for in logs
KEY_PASSWORD = "kL7-key-password"
CLIENT_ID, CLIENT_SECRET = "kL7-client", "kL7-client-secret"
MODULES = "org.apache.kafka.common.security"
# The principal that each listener's clients have.
USERS = {"MTLS": "mtls-worker", "PLAIN": "plain-worker", "SCRAM": "scram-worker", "OAUTH": "oauth-worker"}


class Certificates:
    """A CA of our own, a server's and a client's certificate, and a CA that vouches for nobody."""

    def __init__(self):
        self.folder = temp_folder("certificates")
        for name in ("ca", "stranger"):
            self._run("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=lepton test " + name,
                      "-keyout", self.path(name + ".key"), "-out", self.path(name + ".pem"))
        self._issue("server", "subjectAltName=DNS:localhost,IP:127.0.0.1")
        self._issue(USERS["MTLS"], "extendedKeyUsage=clientAuth")
        self._run("rsa", "-aes256", "-passout", "pass:" + KEY_PASSWORD, "-in", self.key, "-out", self.locked_key)
        # What a broker takes: the key in PKCS#8, then the certificate.
        with open(self.path("keystore.pem"), "wb") as file:
            file.write(self._run("pkcs8", "-topk8", "-nocrypt", "-in", self.path("server.key")))
            file.write(self.read("server.pem"))
        self.ca, self.stranger = self.path("ca.pem"), self.path("stranger.pem")

    @property
    def certificate(self):
        return self.path(USERS["MTLS"] + ".pem")

    @property
    def key(self):
        return self.path(USERS["MTLS"] + ".key")

    @property
    def locked_key(self):
        return self.path("locked.key")

    def path(self, name):
        return os.path.join(self.folder, name)

    def read(self, name):
        with open(self.path(name), "rb") as file:
            return file.read()

    def _run(self, *arguments):
        return subprocess.run(["openssl", *arguments], check=True, stdout=subprocess.PIPE,
                              stderr=subprocess.DEVNULL).stdout

    def _issue(self, name, extension):
        with open(self.path(name + ".ext"), "w", encoding="ascii") as file:
            file.write(extension + "\n")
        self._run("req", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=" + name, "-keyout", self.path(name + ".key"),
                  "-out", self.path(name + ".csr"))
        self._run("x509", "-req", "-days", "2", "-in", self.path(name + ".csr"), "-CA", self.path("ca.pem"), "-CAkey",
                  self.path("ca.key"), "-CAcreateserial", "-extfile", self.path(name + ".ext"), "-out",
                  self.path(name + ".pem"))


def secure_broker(version, certificates):
    """A broker with StandardAuthorizer and the listeners of USERS, and its ports by listener.

    The plaintext listener (broker.bootstrap) is the tests' own: its clients may do everything.
    """
    ports = {name: free_port() for name in ("TLS", *USERS)}
    config = {
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,TLS:SSL,MTLS:SSL,PLAIN:SASL_SSL,"
                                          "SCRAM:SASL_SSL,OAUTH:SASL_SSL",
        "inter.broker.listener.name": "PLAINTEXT",
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "super.users": "User:ANONYMOUS",
        "ssl.keystore.type": "PEM", "ssl.keystore.location": certificates.path("keystore.pem"),
        "ssl.truststore.type": "PEM", "ssl.truststore.location": certificates.ca,
        "listener.name.mtls.ssl.client.auth": "required",
        "ssl.principal.mapping.rules": "RULE:^CN=([^,]+).*$/$1/",
        "listener.name.plain.sasl.enabled.mechanisms": "PLAIN",
        "listener.name.plain.plain.sasl.jaas.config":
            '%s.plain.PlainLoginModule required user_%s="%s";' % (MODULES, USERS["PLAIN"], PASSWORD),
        "listener.name.scram.sasl.enabled.mechanisms": "SCRAM-SHA-256,SCRAM-SHA-512",
        "listener.name.oauth.sasl.enabled.mechanisms": "OAUTHBEARER",
        "listener.name.oauth.oauthbearer.sasl.jaas.config":
            '%s.oauthbearer.OAuthBearerLoginModule required unsecuredLoginStringClaim_sub="broker";' % MODULES,
    }
    scram = []
    for number in ("256", "512"):
        config["listener.name.scram.scram-sha-%s.sasl.jaas.config" % number] = \
            "%s.scram.ScramLoginModule required;" % MODULES
        scram += ["--add-scram", "SCRAM-SHA-%s=[name=%s,password=%s]" % (number, USERS["SCRAM"], PASSWORD)]
    return kafka.Broker(version, config=config, listeners=ports, format_options=scram), ports


def client_settings(name, ports, certificates, mechanism="SCRAM-SHA-256"):
    """kafka.* keys of lepton for one listener."""
    settings = {"kafka.bootstrap.servers": "127.0.0.1:%d" % ports[name],
                "kafka.security.protocol": "ssl" if name in ("TLS", "MTLS") else "sasl_ssl",
                "kafka.ssl.ca.location": certificates.ca}
    if name == "MTLS":
        settings.update({"kafka.ssl.certificate.location": certificates.certificate,
                         "kafka.ssl.key.location": certificates.locked_key, "kafka.ssl.key.password": KEY_PASSWORD})
    if name in ("PLAIN", "SCRAM"):
        settings.update({"kafka.sasl.mechanism": "PLAIN" if name == "PLAIN" else mechanism,
                         "kafka.sasl.username": USERS[name], "kafka.sasl.password": PASSWORD})
    if name == "OAUTH":
        settings.update({"kafka.sasl.mechanism": "OAUTHBEARER", "kafka.enable.sasl.oauthbearer.unsecure.jwt": "true",
                         "kafka.sasl.oauthbearer.config": "principal=" + USERS[name]})
    return settings


class Rights:
    """Allow rules of one principal; a right is ("topic"|"group"|"transactional_id"|"cluster", name, operation)."""

    KINDS = {"topic": ResourceType.TOPIC, "group": ResourceType.GROUP, "cluster": ResourceType.BROKER,
             "transactional_id": ResourceType.TRANSACTIONAL_ID}

    def __init__(self, broker, user):
        self.broker, self.user = broker, user

    def _binding(self, right, kind=AclBinding):
        resource, name, operation = right
        prefixed = name.endswith("*")
        return kind(self.KINDS[resource], name.rstrip("*"),
                    ResourcePatternType.PREFIXED if prefixed else ResourcePatternType.LITERAL, "User:" + self.user, "*",
                    AclOperation[operation.upper()], AclPermissionType.ALLOW)

    def grant(self, rights):
        for future in self.broker.admin.create_acls([self._binding(right) for right in rights]).values():
            future.result(20)

    def take(self, rights):
        for future in self.broker.admin.delete_acls([self._binding(right, AclBindingFilter)
                                                     for right in rights]).values():
            assert len(future.result(20)) == 1, "no such rule"
