"""Where the API server is, and what is refused before anything is tried (CONFIG-1 to CONFIG-4)."""

from __future__ import annotations

import base64
from pathlib import Path
from textwrap import dedent

import pytest

from pvbinder.kube.config import ConnectionConfig, load, load_in_cluster, load_kubeconfig
from pvbinder.kube.errors import ConfigError

WHOLE = """
apiVersion: v1
kind: Config
current-context: dev
clusters:
- name: here
  cluster: {server: "https://127.0.0.1:6443/k8s/"}
- name: there
  cluster: {server: "http://10.0.0.1:8080", proxy-url: "http://proxy:3128", tls-server-name: api}
users:
- name: ana
  user: {token: secret-token, as: bob, as-groups: [devs]}
- name: nobody
  user: {}
contexts:
- name: dev
  context: {cluster: here, user: ana, namespace: shop}
- name: prod
  context: {cluster: there, user: nobody}
"""


def written(tmp_path: Path, text: str, name: str = "config") -> Path:
    path = tmp_path / name
    path.write_text(dedent(text))
    return path


def test_the_current_context_counts(tmp_path: Path) -> None:
    config = load(written(tmp_path, WHOLE), environment={})

    assert config == ConnectionConfig(
        server="https://127.0.0.1:6443/k8s",
        token="secret-token",
        namespace="shop",
        impersonate_user="bob",
        impersonate_groups=("devs",),
        context="dev",
    )


def test_another_context_can_be_chosen(tmp_path: Path) -> None:
    config = load(written(tmp_path, WHOLE), "prod", environment={})

    assert (config.server, config.proxy, config.tls_server_name) == ("http://10.0.0.1:8080", "http://proxy:3128", "api")
    assert (config.namespace, config.token) == ("default", "")


def test_config_1_a_named_file_beats_the_environment(tmp_path: Path) -> None:
    other = written(tmp_path, WHOLE.replace("6443", "7443"), "other")

    config = load(written(tmp_path, WHOLE), environment={"KUBECONFIG": str(other)})

    assert "6443" in config.server


def test_config_1_several_files_are_merged_and_the_first_wins(tmp_path: Path) -> None:
    first = written(tmp_path, 'clusters: [{name: here, cluster: {server: "https://first"}}]', "first")
    second = written(tmp_path, WHOLE, "second")

    config = load(environment={"KUBECONFIG": f"{first}:{tmp_path / 'missing'}:{second}"})

    assert (config.server, config.token) == ("https://first", "secret-token")


def test_config_1_the_home_directory_comes_next(tmp_path: Path) -> None:
    (tmp_path / ".kube").mkdir()
    written(tmp_path / ".kube", WHOLE)

    assert load(environment={"HOME": str(tmp_path)}).context == "dev"


def pod(tmp_path: Path) -> Path:
    directory = tmp_path / "serviceaccount"
    directory.mkdir()
    (directory / "token").write_text("token")
    (directory / "ca.crt").write_bytes(b"certificate")
    (directory / "namespace").write_text("storage\n")
    return directory


def test_config_1_in_a_pod_the_service_account_is_used(tmp_path: Path) -> None:
    environment = {"HOME": str(tmp_path), "KUBERNETES_SERVICE_HOST": "10.96.0.1", "KUBERNETES_SERVICE_PORT": "443"}

    config = load(environment=environment, service_account=pod(tmp_path))

    assert (config.server, config.ca, config.namespace) == ("https://10.96.0.1:443", b"certificate", "storage")
    assert config.token_file == tmp_path / "serviceaccount" / "token"
    assert config.token == ""


def test_an_ipv6_address_gets_brackets(tmp_path: Path) -> None:
    config = load_in_cluster({"KUBERNETES_SERVICE_HOST": "fd00::1"}, pod(tmp_path))

    assert config.server == "https://[fd00::1]:443"


def test_config_1_without_any_the_message_says_what_was_looked_for(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="there is no kubeconfig") as caught:
        load(environment={"HOME": str(tmp_path)}, service_account=tmp_path / "none")
    assert "--kubeconfig" in (caught.value.hint or "")


def test_no_pod_at_all(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="KUBERNETES_SERVICE_HOST is not set"):
        load_in_cluster({}, tmp_path)
    with pytest.raises(ConfigError, match="token is missing"):
        load_in_cluster({"KUBERNETES_SERVICE_HOST": "x"}, tmp_path)


def test_config_2_paths_are_relative_to_the_file(tmp_path: Path) -> None:
    (tmp_path / "pki").mkdir()
    (tmp_path / "pki" / "ca.crt").write_bytes(b"the ca")
    path = written(
        tmp_path,
        """
        current-context: a
        contexts: [{name: a, context: {cluster: a, user: a}}]
        clusters: [{name: a, cluster: {server: "https://a", certificate-authority: pki/ca.crt}}]
        users: [{name: a, user: {tokenFile: pki/token, client-certificate-data: Yw==, client-key-data: aw==}}]
        """,
    )

    config = load_kubeconfig([path])

    assert (config.ca, config.token_file) == (b"the ca", tmp_path / "pki" / "token")
    assert (config.client_certificate, config.client_key) == (b"c", b"k")


def test_an_exec_plugin_is_read(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        """
        current-context: a
        contexts: [{name: a, context: {cluster: a, user: a}}]
        clusters: [{name: a, cluster: {server: "https://a"}}]
        users:
        - name: a
          user:
            exec:
              apiVersion: client.authentication.k8s.io/v1
              command: get-token
              args: [--for, me]
              env: [{name: REGION, value: north}]
              installHint: install get-token
              provideClusterInfo: true
        """,
    )

    plugin = load_kubeconfig([path]).exec_plugin

    assert plugin is not None
    assert (plugin.command, plugin.arguments, plugin.environment) == ("get-token", ("--for", "me"), {"REGION": "north"})
    assert (plugin.install_hint, plugin.provide_cluster_info) == ("install get-token", True)


def one(cluster: str = 'server: "https://a"', user: str = "token: t", top: str = "current-context: a") -> str:
    return (
        f"{top}\ncontexts: [{{name: a, context: {{cluster: a, user: a}}}}]\n"
        f"clusters: [{{name: a, cluster: {{{cluster}}}}}]\nusers: [{{name: a, user: {{{user}}}}}]"
    )


BROKEN = {  # what is wrong with the file: its text, and what the message says
    "no YAML": ("a: ]", "is no YAML in line 1"),
    "not a map": ("- a", "it must be a map"),
    "a list where a map should be": ("clusters: {a: b}", "clusters must be a list"),
    "an entry without a name": ("clusters: [{cluster: {}}]", r"clusters\[0\] must have a name and a cluster"),
    "nothing chosen": (one(top=""), "has no current context"),
    "a context that isn't there": (one(top="current-context: b"), "has no context 'b'"),
    "a cluster that isn't there": (
        "current-context: a\ncontexts: [{name: a, context: {cluster: b}}]",
        "names the cluster 'b', which is not there",
    ),
    "a user that isn't there": (
        one().replace("user: a", "user: c"),
        "names the user 'c', which is not there",
    ),
    "no server": (one(cluster=""), "server is ''"),
    "a server without a scheme": (one(cluster='server: "localhost:6443"'), "server is 'localhost:6443'"),
    "verified and not verified": (
        one(cluster='server: "https://a", insecure-skip-tls-verify: true, certificate-authority-data: YQ=='),
        "has a certificate authority and insecure-skip-tls-verify",
    ),
    "text for a flag": (one(cluster='server: "https://a", insecure-skip-tls-verify: "yes"'), "must be true or false"),
    "no base64": (one(cluster='server: "https://a", certificate-authority-data: "%%"'), "is no base64"),
    "a file that isn't there": (
        one(cluster='server: "https://a", certificate-authority: missing.crt'),
        "certificate-authority: .*missing.crt: No such file",
    ),
    "half a certificate": (one(user="client-certificate-data: YQ=="), "but no client-key"),
    "the other half": (one(user="client-key-data: YQ=="), "but no client-certificate"),
    "a password": (one(user="username: ana, password: s3cret"), "username is not supported any more"),
    "an old plugin": (one(user="auth-provider: {name: gcp}"), "auth-provider is not supported any more"),
    "a number for a token": (one(user="token: 5"), "token must be text"),
    "a plugin without a command": (one(user="exec: {apiVersion: client.authentication.k8s.io/v1}"), "has no command"),
    "a plugin of another time": (one(user="exec: {apiVersion: v1alpha1, command: x}"), "apiVersion is 'v1alpha1'"),
    "a plugin that wants a person": (
        one(user="exec: {apiVersion: client.authentication.k8s.io/v1, command: x, interactiveMode: Always}"),
        "wants a person at the terminal",
    ),
}


@pytest.mark.parametrize(("text", "message"), BROKEN.values(), ids=BROKEN.keys())
def test_config_3_what_cannot_work_is_refused(tmp_path: Path, text: str, message: str) -> None:
    path = written(tmp_path, text)

    with pytest.raises(ConfigError, match=message) as caught:
        load(path, environment={})
    assert str(path) in caught.value.message


def test_config_3_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file"):
        load(tmp_path / "missing", environment={})


def test_config_3_the_hint_lists_the_contexts(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load(written(tmp_path, WHOLE), "test", environment={})
    assert caught.value.hint == "choose one with --context: dev, prod"


def test_config_4_nothing_secret_is_shown(tmp_path: Path) -> None:
    key = base64.b64encode(b"secret-key").decode()
    text = one(user=f"token: secret-token, client-certificate-data: YQ==, client-key-data: {key}")

    shown = repr(load(written(tmp_path, text), environment={}))

    assert "secret" not in shown


def test_a_server_that_is_named_takes_the_place_of_the_configured_one(tmp_path: Path) -> None:
    path, home = written(tmp_path, WHOLE), {"HOME": str(tmp_path / "nobody")}
    config = load(path, server="https://other:1", environment={})
    assert (config.server, config.token, config.context) == ("https://other:1", "secret-token", "dev")
    assert load(server="https://other:1", environment=home) == ConnectionConfig(server="https://other:1")
    with pytest.raises(ConfigError):
        load(tmp_path / "nothing", server="https://other:1", environment=home)
    with pytest.raises(ConfigError):
        load(environment=home)


@pytest.mark.parametrize("proxy", ["socks4://user:secret@proxy:1080", "proxy:3128", "http://", "socks5://proxy:99999"])
def test_config_3_a_proxy_that_can_not_be_used_is_refused(tmp_path: Path, proxy: str) -> None:
    file = tmp_path / "config"
    file.write_text(
        "current-context: c\n"
        "contexts: [{name: c, context: {cluster: k}}]\n"
        f"clusters: [{{name: k, cluster: {{server: 'https://a', proxy-url: '{proxy}'}}}}]\n"
    )
    with pytest.raises(ConfigError, match="proxy-url is") as refused:
        load_kubeconfig([file])
    assert "secret" not in str(refused.value)


def test_files_of_a_client_certificate_are_remembered_unless_it_is_in_the_kubeconfig(tmp_path: Path) -> None:
    (tmp_path / "c").write_text("certificate")
    (tmp_path / "k").write_text("key")

    def files(user: str) -> object:
        file = tmp_path / "config"
        file.write_text(
            "current-context: c\n"
            "contexts: [{name: c, context: {cluster: k, user: u}}]\n"
            "clusters: [{name: k, cluster: {server: 'https://a'}}]\n"
            f"users: [{{name: u, user: {{{user}}}}}]\n"
        )
        return load_kubeconfig([file]).client_files

    assert files("client-certificate: c, client-key: k") == (tmp_path / "c", tmp_path / "k")
    assert files("client-certificate-data: YQ==, client-key-data: YQ==") is None
