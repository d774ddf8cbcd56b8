"""Counters as Prometheus reads them."""

from __future__ import annotations

from broker.observe.metrics import Metrics


def test_everything_that_happened_is_in_the_exposition() -> None:
    metrics = Metrics(known=("CT1",))
    metrics.message("his", "accepted")
    metrics.warnings("ihe/orm-to-mwl@1a2b3c4d", 3)
    metrics.association("CT1", "accepted")
    metrics.query("CT1", "answered", 2, 0.0007)
    metrics.performed("CT1", "N-CREATE", 0x0110)
    metrics.stored("CT1", "stored", 512)
    metrics.delivery("ris", "delivered")
    metrics.alarm("study.mismatched")
    metrics.commit(16, 0.0012)
    metrics.unknown_codes({"gone": 1})
    metrics.unknown_codes({"ihe/orm-to-mwl": 2})
    lines = metrics.exposition().decode().splitlines()
    for line in (
        'radbroker_messages_total{listener="his",outcome="accepted"} 1.0',
        'radbroker_mapping_warnings_total{mapping="ihe/orm-to-mwl"} 3.0',
        'radbroker_mapping_unknown_codes{mapping="ihe/orm-to-mwl"} 2.0',
        'radbroker_associations_total{ae="CT1",outcome="accepted"} 1.0',
        'radbroker_worklist_queries_total{ae="CT1",outcome="answered"} 1.0',
        'radbroker_worklist_answers_total{ae="CT1"} 2.0',
        'radbroker_worklist_seconds_bucket{le="0.001"} 1.0',
        'radbroker_mpps_total{ae="CT1",message="N-CREATE",status="0110"} 1.0',
        'radbroker_objects_total{ae="CT1",outcome="stored"} 1.0',
        'radbroker_object_bytes_total{ae="CT1"} 512.0',
        'radbroker_deliveries_total{destination="ris",state="delivered"} 1.0',
        'radbroker_alarms_total{event="study.mismatched"} 1.0',
        'radbroker_store_batch_jobs_bucket{le="16.0"} 1.0',
    ):
        assert line in lines
    assert "gone" not in "".join(lines)


def test_callers_that_nobody_knows_share_one_series() -> None:
    metrics = Metrics(known=("CT1",))
    for number in range(100):
        metrics.association(f"EVIL{number}", "rejected")
    assert 'radbroker_associations_total{ae="other",outcome="rejected"} 100.0' in metrics.exposition().decode()
    assert "EVIL" not in metrics.exposition().decode()


def test_two_registries_live_side_by_side() -> None:
    Metrics().message("his", "accepted")
    assert "accepted" not in Metrics().exposition().decode()
