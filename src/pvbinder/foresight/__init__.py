"""What will happen, from the very controllers that will do it: they run on a copy of a cluster, on virtual time.

Promise: nothing of the real cluster, of a disk or of the network is touched; what is foretold is what the same
controllers do with the same objects.

- The copy: `reading` (from a cluster), `preparing` (which objects, and what is left out), `reduction` (those that can't
  matter), `rehearsal` (server, controllers and clock together), `stand_in` (for provisioners that aren't here),
  `plugins` (without effects).
- What is done to it: `steps` (the language of ``--do``), `acting` (how each is carried out), `applying` (manifests).
- What came of it: `rehearse` as a whole, with `differences` (before and after); `plan` as a whole, with `outcomes`
  (each claim of new manifests) and `orders` (other orders of arrival).
- In words: `report`, and the forms of it, `sections`; for the reports of pipelines, `forms`.
"""
