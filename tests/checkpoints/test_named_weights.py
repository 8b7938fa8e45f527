"""Published weights by one word: fetched from a server of this test, resumed, refused, kept and known again."""

import http.server
import re
import socket
import threading
from pathlib import Path

import numpy as np
import pytest
from places import CONFIGS, GOLDEN

import mindrestore
from mindrestore.checkpoints import download, load_published_weights
from mindrestore.checkpoints.loading import load
from mindrestore.checkpoints.named import fetched, place_of, published_files
from mindrestore.cli import main
from mindrestore.errors import UserError
from mindrestore.models import create_model, kind_of, kinds
from mindrestore.models.kind import PublishedFile

CONTENT = (GOLDEN / "revsci_two_way.pth").read_bytes()
PAGE = "https://example.org/releases"


class Handler(http.server.BaseHTTPRequestHandler):
    """Serves ``CONTENT`` as GitHub does its releases, by ranges and with an ETag, except for what the path asks for."""

    def do_GET(self):
        self.server.asked.append((self.path, self.headers.get("Range")))
        getattr(self, self.path.strip("/").partition(".")[0], self.whole)()

    def answer(self, content, status=200, **headers):
        self.send_response(status)
        for name, value in {"Content_Length": len(content), "ETag": '"1"', **headers}.items():
            if value is not None:
                self.send_header(name.replace("_", "-"), str(value))
        self.end_headers()
        self.wfile.write(content)

    def whole(self):
        given = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        first = int(given[1]) if given and self.headers.get("If-Range") == '"1"' else 0
        if first >= len(CONTENT):
            self.answer(b"", 416)
        elif first:
            self.answer(CONTENT[first:], 206, Content_Range=f"bytes {first}-{len(CONTENT) - 1}/{len(CONTENT)}")
        else:
            self.answer(CONTENT)

    def cut(self):  # and not the second time
        if len(self.server.asked) > 1:
            self.whole()
        else:
            self.answer(CONTENT[:50_000], Content_Length=len(CONTENT))

    def unranged(self):
        self.answer(CONTENT[:50_000] if len(self.server.asked) == 1 else CONTENT, Content_Length=len(CONTENT))

    def changed(self):  # after it was cut short, and answers ranges of what it is now
        first = int((self.headers.get("Range") or "bytes=0-")[6:-1])
        if len(self.server.asked) == 1:
            self.answer(CONTENT[:50_000], Content_Length=len(CONTENT), ETag='"0"')
        elif first:
            self.answer(b"x" * (len(CONTENT) - first), 206, Content_Range=f"bytes {first}-{len(CONTENT) - 1}/{len(CONTENT)}")
        else:
            self.answer(CONTENT)

    def missing(self):
        self.send_error(404)

    def page(self):
        self.answer(b"<html>Sign in</html>")

    def unsaid(self):
        self.answer(b"<html>Sign in</html>", Content_Length=None)

    def other(self):  # of the right size
        self.answer(b"\0" * len(CONTENT))

    def moved(self):
        self.answer(b"", 302, Location="/whole.pth")

    def log_message(self, *arguments):
        """Be quiet."""


@pytest.fixture
def server(prepared):
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.asked = []
        server.address = f"http://127.0.0.1:{server.server_port}"
        threading.Thread(target=server.serve_forever, args=[0.02], daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("MINDRESTORE_CACHE", str(tmp_path / "cache"))
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path / "cache"


@pytest.fixture
def publish(monkeypatch):
    """``publish(address, **differing)`` makes a file known by the word ``777``."""

    def add(address, **differing):
        count = sum(array.size for array in mindrestore.checkpoints.read_arrays(GOLDEN / "revsci_two_way.pth").values())
        file = PublishedFile(
            **{
                **dict(
                    name="777",
                    file="777_tiny.pth",
                    task="tests",
                    page=PAGE,
                    address=address,
                    megabytes=len(CONTENT) / 1e6,
                    parameters=count,
                    configuration=None,
                ),
                **differing,
            }
        )
        monkeypatch.setattr(type(kind_of("revsci")), "published_files", (file,))
        return file

    return add


def refusal(*forbidden):
    """What ``777`` is refused with: one sentence that says where to fetch by hand, and where to put it."""
    with pytest.raises(UserError) as caught:
        fetched("777")
    said = str(caught.value)
    assert "\n" not in said and f"777_tiny.pth by hand from {PAGE}" in said and "cache/777_tiny.pth" in said
    return said


def test_a_word_is_fetched_once(server, publish, cache, capsys):
    publish(f"{server.address}/whole.pth")
    assert main(["weights", "get", "777", "777_tiny"]) == 0
    assert capsys.readouterr().out.split() == [str(cache / "777_tiny.pth")] * 2
    assert (cache / "777_tiny.pth").read_bytes() == CONTENT and server.asked == [("/whole.pth", None)]
    assert sorted(path.name for path in cache.iterdir() if not path.name.startswith(".")) == [
        "777_tiny.pth",
        "777_tiny.pth.sha256",
    ]
    assert main(["weights", "list"]) == 0
    assert re.search(r"^777 .* here$", capsys.readouterr().out, re.MULTILINE)


def test_a_word_is_a_checkpoint_everywhere(server, publish, cache):
    publish(f"{server.address}/moved.pth")
    network = mindrestore.create_model("revsci", pretrained="777")
    loaded = load("777")
    assert loaded.origin == str(cache / "777_tiny.pth") and loaded.network.settings == network.settings
    other = load_published_weights(create_model("revsci", **network.settings, seed=5), "777")
    wanted = mindrestore.checkpoints.read_arrays(GOLDEN / "revsci_two_way.pth")
    for each in (network, loaded.network, other):
        for parameter in each.get_parameters():
            np.testing.assert_array_equal(parameter.asnumpy(), wanted[parameter.name])
    assert len(server.asked) == 2  # the address and where it leads to, once


def test_a_file_that_is_there_comes_before_a_word(server, publish, tmp_path, monkeypatch):
    publish(f"{server.address}/missing.pth")
    monkeypatch.chdir(tmp_path)
    Path("777").write_bytes(CONTENT)
    assert load("777").origin == "777" and server.asked == []


@pytest.mark.parametrize(
    "path, ranges",
    [("cut", [None, "bytes=50000-"]), ("unranged", [None, "bytes=50000-", None]), ("changed", [None, "bytes=50000-", None])],
)
def test_what_was_cut_short_is_gone_on_with(server, publish, cache, path, ranges):
    """Or fetched anew, from a server that does not know how, or has another file by then."""
    publish(f"{server.address}/{path}.pth")
    assert "after 0.1 of about" in refusal() and (cache / "777_tiny.pth.part").stat().st_size == 50_000
    assert fetched("777").read_bytes() == CONTENT
    assert [asked for _, asked in server.asked] == ranges


def test_what_is_here_of_another_state_of_the_file_is_not_gone_on_with(server, publish, cache):
    publish(f"{server.address}/cut.pth")
    refusal()
    (cache / "777_tiny.pth.part.version").write_text('"0"')
    (cache / "777_tiny.pth.part").write_bytes(b"x" * 50_000)
    assert fetched("777").read_bytes() == CONTENT


def test_more_than_there_is_is_fetched_anew(server, publish, cache):
    publish(f"{server.address}/whole.pth")
    cache.mkdir()
    (cache / "777_tiny.pth.part").write_bytes(CONTENT + b"x")
    (cache / "777_tiny.pth.part.version").write_text('"1"')
    assert fetched("777").read_bytes() == CONTENT


@pytest.mark.parametrize(
    "path, said",
    [
        ("missing", "it answers 404 Not Found"),
        ("page", "20 bytes for us where about"),
        ("unsaid", "20 bytes for us where about"),
        ("other", "what came from there was refused and removed"),
    ],
)
def test_another_answer_is_one_sentence_and_leaves_nothing(server, publish, cache, path, said):
    publish(f"{server.address}/{path}.pth")
    assert said in refusal()
    assert not [file.name for file in cache.iterdir() if not file.name.startswith(".")]


def test_another_network_is_refused_by_its_shapes(server, publish, cache):
    publish(f"{server.address}/whole.pth", parameters=5)
    assert "parameters, and 777 has 5" in refusal()
    assert not (cache / "777_tiny.pth").exists()


def closed_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def test_offline(publish, prepared):
    publish(f"http://127.0.0.1:{closed_port()}/777_tiny.pth")
    assert "it cannot be reached (Connection refused)" in refusal()
    publish("http://nowhere.invalid/777_tiny.pth")
    assert "it cannot be reached (" in refusal()


def test_a_proxy_of_the_environment_is_used_and_named_without_its_password(server, publish, monkeypatch):
    publish("http://nowhere.invalid/whole.pth")
    monkeypatch.setenv("http_proxy", server.address.replace("//", "//me:secret@"))
    assert fetched("777").read_bytes() == CONTENT
    assert server.asked[0][0] == "http://nowhere.invalid/whole.pth"
    fetched("777").unlink()
    monkeypatch.setenv("http_proxy", f"http://me:secret@127.0.0.1:{closed_port()}")
    said = refusal()
    assert "by way of the proxy 127.0.0.1:" in said and "(http_proxy)" in said and "secret" not in said


def test_silence_is_given_up(publish, monkeypatch, prepared):
    monkeypatch.setattr(download, "SILENCE", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        publish(f"http://127.0.0.1:{silent.getsockname()[1]}/777_tiny.pth")
        assert "timed out" in refusal()


def test_only_by_hand(publish, cache, prepared):
    """Then it is put into the cache, checked, and known."""
    file = publish(None)
    assert "only a person can fetch them" in refusal()
    cache.mkdir(exist_ok=True)
    place_of(file).write_bytes(CONTENT)
    assert fetched("777") == place_of(file)
    assert (cache / "777_tiny.pth.sha256").read_text().endswith("  777_tiny.pth\n")


def test_a_file_that_has_changed_is_refused(server, publish, cache):
    path = publish(f"{server.address}/whole.pth") and fetched("777")
    path.write_bytes(CONTENT[:-1] + b"x")
    with pytest.raises(UserError, match=r"777_tiny.pth: has changed since it was first used .*remove it to fetch it again"):
        fetched("777")
    path.unlink()
    assert fetched("777").read_bytes() == CONTENT


def test_a_cache_that_cannot_be_written(server, publish, tmp_path, monkeypatch):
    publish(f"{server.address}/whole.pth")
    (tmp_path / "file").touch()
    monkeypatch.setenv("MINDRESTORE_CACHE", str(tmp_path / "file"))
    with pytest.raises(UserError, match="set MINDRESTORE_CACHE to a folder you may write to"):
        fetched("777")


def test_two_at_a_time_fetch_once(server, publish):
    publish(f"{server.address}/whole.pth")
    threads = [threading.Thread(target=fetched, args=["777"]) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(server.asked) == 1 and fetched("777").read_bytes() == CONTENT


@pytest.mark.parametrize("word, said", [("06", "did you mean 006"), ("x", "choose one of")])
def test_a_slip_names_what_there_is(word, said, capsys):
    assert main(["weights", "get", word]) == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    "given, said",
    [
        ("07", "or the name of published weights (001"),
        ("006_VRT_videodeblurring_GoPro.pth", "fetch it by `mindrestore weights get 006`"),
        ("nowhere.pth", "give the path of an existing checkpoint."),
    ],
)
def test_a_checkpoint_that_is_nowhere(given, said, prepared):
    with pytest.raises(UserError, match=re.escape(said)):
        load(given)


def test_pretrained_takes_settings_beside_it_and_refuses_another_kind(server, publish):
    publish(f"{server.address}/whole.pth")
    with pytest.raises(UserError, match="is no VRT"):
        mindrestore.create_model("vrt", pretrained="777")
    with pytest.raises(UserError, match="do not fit"):
        mindrestore.create_model("revsci", pretrained="777", blocks=7)
    with pytest.raises(UserError, match="call that one"):
        create_model("revsci", pretrained="777")


def test_the_table(prepared):
    """Addresses are of the pages' releases, configurations ship, sizes are those of so many parameters."""
    files = [file for _, file in published_files()]
    assert {f"{number:03d}" for number in range(1, 10)} | {"spynet"} < {file.name for file in files}
    assert len({file.name for file in files}) == len({file.file for file in files}) == len(files)
    stems = {path.stem for path in CONFIGS.rglob("*.yaml")}
    for file in files:
        assert file.configuration in stems
        assert file.address in (None, f"{file.page}/download/v0.0/{file.file}")
        assert 1 < file.megabytes * 1e6 / file.parameters / 4 < 1.7  # index tables lie beside the parameters
    assert {kind.name for kind in kinds() if kind.published_files} == {"revsci", "vrt", "spynet"}


def test_the_file_of_the_flow_network_may_hold_what_the_network_knows(prepared, cache):
    """The mean and the standard deviation of ImageNet."""
    cache.mkdir()
    weights = {parameter.name: parameter.asnumpy() for parameter in create_model("spynet", seed=9).get_parameters()}
    with open(cache / "spynet_sintel_final-3d2a1287.pth", "wb") as file:
        np.savez(file, mean=np.zeros(3, np.float32), std=np.ones(3, np.float32), **weights)
    network = mindrestore.create_model("spynet", pretrained="spynet")
    np.testing.assert_array_equal(next(network.get_parameters()).asnumpy(), next(iter(weights.values())))
