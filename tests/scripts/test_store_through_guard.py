"""Clients of a real object store work through the browser guard."""

import io
import os
import urllib.parse
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.config import Config

from ops.lib.browser_guard import BrowserGuard
from ops.lib.browser_rules import BrowserRules
from ops.lib.client import Client
from tests.processes import free_port
from tests.scripts.store import ROOT_PASSWORD, stopped_store

CONSOLE = "http://127.0.0.1:8088"


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    """A client of a store with a browser guard in front of it."""
    with stopped_store() as store:
        store.start()
        port = free_port()
        address = f"http://127.0.0.1:{port}"
        guard = BrowserGuard(
            BrowserRules.of_store(address, CONSOLE), ("127.0.0.1", port), lambda: ("127.0.0.1", store.port)
        )
        guard.start()
        try:
            yield Client(CONSOLE, "dns:///127.0.0.1:8089", address, True)
        finally:
            guard.stop()


@pytest.fixture(scope="module")
def s3(client: Client) -> Iterator[Any]:
    """A client that signs as Flyte does, and so the host, too."""
    opened = boto3.client(
        "s3",
        endpoint_url=client.object_store,
        aws_access_key_id="root",
        aws_secret_access_key=ROOT_PASSWORD,
        region_name="us-east-1",
        config=Config(signature_version="s3v4", s3={"addressing_style": "path"}, retries={"total_max_attempts": 1}),
    )
    opened.create_bucket(Bucket="bucket")
    yield opened
    opened.close()


@pytest.mark.parametrize("key", ["plain", "a b+c", "ä/€", "percent%2Fslash", "quote'(1)*!", "tilde~", "x=1&y?"])
def test_objects_of_any_name_are_written_read_and_deleted(s3: Any, key: str):
    s3.put_object(Bucket="bucket", Key=key, Body=b"content", Metadata={"name": "value"})
    assert s3.get_object(Bucket="bucket", Key=key, Range="bytes=1-3")["Body"].read() == b"ont"
    found = s3.head_object(Bucket="bucket", Key=key)
    assert (found["ContentLength"], found["Metadata"]) == (7, {"name": "value"})
    assert key in [listed["Key"] for listed in s3.list_objects_v2(Bucket="bucket")["Contents"]]
    s3.delete_object(Bucket="bucket", Key=key)


def test_a_large_file_is_uploaded_in_parts_and_downloaded_whole(s3: Any):
    content = os.urandom(40 << 20)

    s3.upload_fileobj(io.BytesIO(content), "bucket", "large")
    received = io.BytesIO()
    s3.download_fileobj("bucket", "large", received)

    assert received.getvalue() == content


def test_signed_urls_work_and_a_changed_one_is_rejected_by_the_store(client: Client, s3: Any):
    where = {"Bucket": "bucket", "Key": "code/fast a+b.tar.gz"}
    upload, download = (s3.generate_presigned_url(what, Params=where) for what in ("put_object", "get_object"))

    assert client.request(upload, "PUT", b"code", {"Expect": "100-continue"}).status == 200
    assert client.request(download).body == b"code"
    assert client.request(download + "0").status == 403
    assert client.request(download.replace("127.0.0.1", "localhost")).status == 403  # signed for another host


def test_the_store_answers_the_console_of_another_origin(client: Client, s3: Any):
    url = s3.generate_presigned_url("put_object", Params={"Bucket": "bucket", "Key": "key"})
    path = urllib.parse.urlsplit(url)
    asked = {"Access-Control-Request-Method": "PUT"}

    assert client.request(f"{client.object_store}{path.path}", "OPTIONS", headers={"Origin": CONSOLE, **asked}).ok
    assert client.request(url, "PUT", b"data", {"Origin": CONSOLE, "Sec-Fetch-Site": "same-site"}).ok
    foreign = {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}
    assert client.request(f"{client.object_store}{path.path}", "OPTIONS", headers=foreign | asked).status == 403
    assert client.request(url, "PUT", b"data", foreign).status == 403
