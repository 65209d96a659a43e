"""Assertions about plugins: what passes, and what a failure says."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

import corelet_routing
import corelet_testing
from corelet import PluginLoadError, hookimpl, web
from corelet.plugins import PluginManager
from corelet.test_utils import assert_exports, assert_hooks, make_plugin_manager


class Stamping:
    @hookimpl
    def corelet_prepare_response(self, app: web.Application) -> Any:
        async def stamp(request: web.Request, response: web.StreamResponse) -> None:
            response.headers["X-Stamp"] = "yes"

        return stamp

    @hookimpl
    def corelet_report(self, app: web.Application) -> list[str]:
        return ["stamps"]


class Routes:
    @hookimpl
    def corelet_routing_routes(self, app: web.Application) -> Any:
        return ()


def fail_hooks(*arguments: Any, **options: Any) -> str:
    with pytest.raises(AssertionError) as caught:
        assert_hooks(*arguments, **options)
    return str(caught.value)


def fail_exports(distribution: str, exports: dict[str, object]) -> str:
    with pytest.raises(AssertionError) as caught:
        assert_exports(distribution, exports)
    return str(caught.value)


def test_a_manager_has_the_chosen_plugins_alone() -> None:
    manager = make_plugin_manager(Stamping(), "routing")
    assert isinstance(manager, PluginManager)
    assert [record.name for record in manager.records] == ["Stamping", "routing"]
    assert manager.call_all("corelet_report", app=None) == [["stamps"]]
    assert make_plugin_manager().records == ()


def test_a_manager_refuses_what_an_application_would() -> None:
    with pytest.raises(PluginLoadError, match="it is a class; give an instance"):
        make_plugin_manager(Stamping)
    with pytest.raises(PluginLoadError, match="no installed plugin has this name; did you mean routing"):
        make_plugin_manager("rooting")


def test_hooks_that_are_there_pass_in_any_order() -> None:
    assert_hooks(Stamping(), "corelet_report", "corelet_prepare_response")
    assert_hooks("testing", "corelet_add_commands", "corelet_report")
    assert_hooks(Routes(), "corelet_routing_routes", beside=["routing"])


def test_a_missing_a_surplus_and_a_misspelt_hook_are_said() -> None:
    assert fail_hooks(Stamping(), "corelet_report", "corelet_lifespan", "corelet_instrumen") == (
        "plugin Stamping: there is no hook corelet_instrumen; did you mean corelet_instrument?; "
        "it does not implement corelet_lifespan; it implements corelet_prepare_response, which was not named; "
        "its hooks: corelet_prepare_response, corelet_report"
    )


def test_a_plugin_that_can_not_be_used_fails_by_the_reason() -> None:
    class Misspelt:
        @hookimpl
        def corelet_prepare_respons(self, app: Any) -> None: ...

    assert "unknown hook corelet_prepare_respons; did you mean corelet_prepare_response?" in fail_hooks(Misspelt())
    assert "unknown hook corelet_routing_routes" in fail_hooks(Routes(), "corelet_routing_routes")
    assert "it has no hook implementation" in fail_hooks(SimpleNamespace(__name__="empty"))
    assert "no installed plugin has this name" in fail_hooks("nobody")


def test_exports_of_whole_distributions_pass() -> None:
    for module, scope in ((corelet_testing, "test_utils"), (corelet_routing, "web")):
        names = {f"{scope}.{name}": getattr(module, name) for name in module.__all__}
        assert_exports(module.__name__.replace("_", "-"), names)
    from corelet_compression import (
        compressed,
        compression_middleware,
        decompression_middleware,
        set_zlib_backend,
        uncompressed,
    )

    assert_exports(
        "corelet-compression",
        {
            "set_zlib_backend": set_zlib_backend,
            "web.compressed": compressed,
            "web.compression_middleware": compression_middleware,
            "web.decompression_middleware": decompression_middleware,
            "web.uncompressed": uncompressed,
        },
    )


def test_a_missing_a_surplus_and_a_wrong_export_are_said() -> None:
    resources = ("web.MatchedSubAppResource", "web.PrefixedSubAppResource")
    end = f"its exports: {', '.join(resources)} (read when it was installed: pip install it again after a change)"
    assert fail_exports("corelet-subapps", {resources[0]: object, "web.PrefixedSubAppResourse": object}) == (
        "distribution corelet-subapps: it does not export web.PrefixedSubAppResourse; did you mean "
        "web.PrefixedSubAppResource?; it exports web.PrefixedSubAppResource, which was not named; "
        "web.MatchedSubAppResource (corelet_subapps:MatchedSubAppResource) is "
        f"<class 'corelet_subapps.domain_resource.MatchedSubAppResource'>, expected <class 'object'>; {end}"
    )


def test_a_distribution_that_is_not_there_is_said() -> None:
    assert fail_exports("corelet-subaps", {}) == (
        "distribution corelet-subaps is not installed; did you mean corelet-subapps?: pip install -e . in its folder"
    )
