"""The audit of a cluster's storage: what is wrong, or soon will be, from the rules that bind.

Promise: findings are functions of a snapshot of the cluster and the time; nothing is read or written here. What is
said of a claim is what `explain` says of it, for both ask the rules that the controllers follow.

- Values: `finding` (a finding, its level, evidence and way out), `codes` (all findings by code).
- The cluster: `survey` (a snapshot with what is derived from it once for all finders).
- The finders, by family: `claims`, `volumes`. `find` puts them together: `find_all`.
"""

from __future__ import annotations

from pvbinder.audit.find import find_all
from pvbinder.audit.finding import AuditSubject, Evidence, Finding, FindingLevel
from pvbinder.audit.survey import Options

__all__ = ["AuditSubject", "Evidence", "Finding", "FindingLevel", "Options", "find_all"]
