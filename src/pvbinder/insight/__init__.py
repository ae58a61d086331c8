"""explain: the rules without the writes.

Promise: never writes. An answer is the decision that the controllers make, put into words, so that explanations and
controllers can't differ.

- Objects: `snapshot` (as the rules want to see them), `reading` (from a server), `manifests` (from files).
- Answers, as values (`explanation`): `claims`, with `unbound`, `bound`, `deletion` and `loss` for the states of a
  claim; `volumes`, `pods`, `stateful_sets`; `causes` for many at once. `scheduling` and `provisioning` foretell
  the answer of the scheduler and of the provisioner.
- Why, and what helps: `evidence`, `volume_groups`, `finalizers`, `wording`, `instants`, `advice`, `remedies`.
- Answers, as text: `report`, `report_others`. `rulebook` has the text of each rule. `export` writes a dump.
"""
