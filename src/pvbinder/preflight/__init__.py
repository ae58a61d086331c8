"""May pvbinder work in this cluster? Questions to its API server, and a plain answer: go, or no-go.

The tour, from above: `report` asks everything, `questions` has one function for each thing that must be right, `canary`
makes a volume and a claim and looks who binds them, `findings` is what comes out.

PREFLIGHT-1  Nothing is changed but for the canary, which is asked for or not; what it made is taken away again,
             whatever happens, or named.
PREFLIGHT-2  It ends in bounded time: each question has a limit, and the canary has the one that it is given.
PREFLIGHT-3  What can't be found out is said to be unknown, and is never taken for a yes.
"""
