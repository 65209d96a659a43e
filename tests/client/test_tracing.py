"""Signals of a request: who is called, with what, and when nothing has to be done."""

from __future__ import annotations

import dataclasses
from types import SimpleNamespace

import pytest
from yarl import URL

import corelet_client.tracing
from corelet_client.tracing import SIGNALS, TraceConfig, Tracer, TraceRequestChunkSentParams
from tests.client.parity import read_members

SESSION = object()


async def test_listeners_get_session_context_and_params():
    heard = []

    async def listen(session, context, params):
        heard.append((session, context.trace_request_ctx, params))

    config = TraceConfig()
    config.on_request_chunk_sent.append(listen)
    config.freeze()
    tracer = Tracer(SESSION, [config], {"id": 7})
    params = TraceRequestChunkSentParams("POST", URL("http://x.org/"), b"abc")
    await tracer.send("on_request_chunk_sent", params)
    await tracer.send("on_request_end", None)
    assert heard == [(SESSION, {"id": 7}, params)]


async def test_each_config_has_a_context_of_its_own_for_each_request():
    contexts = []

    async def listen(session, context, params):
        contexts.append(context)

    configs = [TraceConfig(), TraceConfig(trace_config_ctx_factory=lambda trace_request_ctx: [trace_request_ctx])]
    for config in configs:
        config.on_request_start.append(listen)
        config.freeze()
    for number in (1, 2):
        tracer = Tracer(SESSION, configs, number)
        await tracer.send("on_request_start", None)
        await tracer.send("on_request_start", None)
    first, first_again, *_ = contexts[::2]
    assert first is first_again
    assert contexts[::2] == [SimpleNamespace(trace_request_ctx=number) for number in (1, 1, 2, 2)]
    assert contexts[1::2] == [[1], [1], [2], [2]]


async def test_listeners_of_one_signal_are_called_in_order():
    order = []
    config = TraceConfig()
    for name in "abc":

        async def listen(session, context, params, name=name):
            order.append(name)

        config.on_dns_cache_hit.append(listen)
    config.freeze()
    await Tracer(SESSION, [config]).send("on_dns_cache_hit", None)
    assert order == ["a", "b", "c"]


async def test_error_of_a_listener_is_one_of_the_request():
    async def fail(session, context, params):
        raise ValueError("mine")

    config = TraceConfig()
    config.on_request_start.append(fail)
    config.freeze()
    with pytest.raises(ValueError, match="mine"):
        await Tracer(SESSION, [config]).send("on_request_start", None)


def test_tracer_knows_which_signals_are_heard():
    async def listen(session, context, params):
        pass

    config = TraceConfig()
    config.on_request_end.append(listen)
    tracer = Tracer(SESSION, [TraceConfig(), config])
    assert [name for name in SIGNALS if tracer.listens(name)] == ["on_request_end"]


def test_frozen_config_takes_no_more_listeners():
    config = TraceConfig()
    config.freeze()
    config.freeze()
    for name in SIGNALS:
        with pytest.raises(RuntimeError):
            getattr(config, name).append(None)


def test_signals_and_params_are_those_of_the_parity_list():
    assert {f".{name}" for name in SIGNALS} | {".freeze", ".trace_config_ctx"} == read_members("TraceConfig")
    for params in SIGNALS.values():
        fields = {f".{field.name}" for field in dataclasses.fields(params)}
        assert fields == read_members(params.__name__), params
        assert getattr(corelet_client.tracing, params.__name__) is params


def test_params_cannot_be_changed():
    params = TraceRequestChunkSentParams("POST", URL("http://x.org/"), b"abc")
    with pytest.raises(dataclasses.FrozenInstanceError):
        params.chunk = b""
