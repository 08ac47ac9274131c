"""A valid file of each kind that people write, as text: the bad ones differ from it in one place."""

from __future__ import annotations

DETECTION = r"""id: 00000002-0000-4000-8000-000000000000
name: bad one
version: 1
status: experimental
description: a test
process:
  image: {process_name: msiexec.exe}
  condition: image
network:
  web: {dest_port: [80, 443]}
  condition: web
lookback: 24h
risk:
  score: 35
  message: "{process_name} on {host}"
  objects: [{field: host, type: system}]
false_positives: none
misses: all else
cases:
  - {name: a connection, connections: [{at: "10:00:00"}], expect: none}
"""
EXCLUSION = r"""id: bad
detections: all
reason: a test
owner: a tester
valid_from: 2026-01-01T00:00:00Z
valid_until: 2026-12-31T00:00:00Z
findings:
  ours: {dest_name: updates.example, dest_port: 443}
  condition: ours
"""
SOURCE = r"""name: Bad
description: a test
reader: json
record: "t string, host string, pid bigint, ip string, port int"
event_id: "'1'"
events:
  connection:
    kind: network
    when: "true"
    columns: {event_time: t, host: host, process_id: pid, dest_ip: ip, dest_port: port}
"""
SETTINGS = r"""lake: ./lake
window: {length: 1h, delay: 10m}
host: {match: short}
attribution: {clock_skew: 2s, end_grace: 5s, broadcast_limit: 1000}
detections: {enabled: [b0fd38c7], budget: {findings: 10, per: 1h}}
exclusions: {enabled: []}
risk: {score: 100, shared_accounts: [SYSTEM]}
maintenance: {layout: compact, keep_runs: 90d, order: {process_events: [event_time]}}
sources: {firewall: {mapping: cim, tables: [raw.firewall], clock_ahead: 5s}}
spark: {spark.sql.shuffle.partitions: "8"}
"""
EXPECTATIONS = r"""others: 0
datasets:
  - files: ["*.json"]
    source: windows_flat
    expect:
      - {detection: b0fd38c7, at_least: 1, where: {dest_port: 443}}
      - {detection: b0fd38c7, exactly: 0, where: {dest_ip|cidr: 10.0.0.0/8}, excluded: true}
"""
