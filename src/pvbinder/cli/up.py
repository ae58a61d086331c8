"""``pvbinder up``: what it accepts, and the help that says so. What it does is in `serve`."""

from __future__ import annotations

from pathlib import Path

import click

from pvbinder.cli.controller_flags import WithControllerFlags, given, process_flags
from pvbinder.cli.errors import WrongUsageError
from pvbinder.cli.options import LogFormat, UpOptions, check_kubeconfig_is_ours, default_data_dir
from pvbinder.cli.source_options import FORMS, check_read_once, chosen, source_options
from pvbinder.controllers.configuration import read_options
from pvbinder.plane.options import AuthorizationMode

EPILOG = """\b
Examples:
  pvbinder up                                 # then, elsewhere: export KUBECONFIG=... as it says
  pvbinder up --ephemeral --apply manifests/ --watch
  pvbinder up --ephemeral --load production.yaml
  pvbinder up --ephemeral --bare --load snapshot.db
  pvbinder up --ephemeral -- ./integration-test.sh
  pvbinder up --ephemeral -- kubectl get storageclasses
"""


class CommandAfterDashes(WithControllerFlags):
    """A command whose arguments after ``--`` are somebody else's command line."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Keep what comes after the first ``--`` for the command, and refuse anything else that is no option."""
        if "--" in args:
            at = args.index("--")
            ctx.meta["command"] = tuple(args[at + 1 :])
            args = args[:at]
            if not ctx.meta["command"]:
                raise click.UsageError("there is no command after --", ctx)
        try:
            return super().parse_args(ctx, args)
        except click.UsageError as error:
            if "unexpected extra argument" in error.message:
                raise click.UsageError(f"{error.message}: a command to run goes after --", ctx) from error
            raise


@click.command(
    cls=CommandAfterDashes,
    epilog=EPILOG,
    options_metavar="[OPTIONS] [-- COMMAND [ARGS]...]",
    context_settings={"show_default": True},
)
@click.option(
    "--data-dir",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    show_default="the user's data directory, ~/.local/share/pvbinder",
    help="Where objects are kept from one start to the next.",
)
@click.option("--ephemeral", is_flag=True, help="Keep everything in a temporary directory that is gone at exit.")
@click.option("--host", default="127.0.0.1", metavar="ADDRESS", help="Address to listen on.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    metavar="N",
    show_default="the one of last time, else 6443, else any free one",
    help="Port to listen on; 0 is any free one.",
)
@click.option(
    "--kubeconfig",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    show_default="kubeconfig in the data directory",
    help="Where to write the administrator's kubeconfig (mode 0600).",
)
@click.option(
    "--token-auth-file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help='Users with bearer tokens: lines of token,user,uid,"group1,group2".',
)
@click.option(
    "--authorization-mode",
    type=click.Choice(["RBAC", "AlwaysAllow"]),
    default="RBAC",
    help="Whether roles decide who may do what.",
)
@click.option(
    "--bare",
    is_flag=True,
    help="Begin like an empty Kubernetes, where nothing appears that nobody made: no node, no storage class, no "
    "scheduler, no kubelet, no claims for pods.",
)
@click.option(
    "--default-class",
    is_flag=True,
    help="Have a class standard that is the default, so that claims without a class are provisioned: by the local "
    "driver, or by the hostPath provisioner where that is enabled.",
)
@click.option(
    "--csi-driver",
    "csi_drivers",
    multiple=True,
    metavar="ADDRESS",
    help="Provision, publish and delete volumes through the CSI driver at this socket (unix:///path) as well, which "
    "may start later; may be repeated. The local driver is inside, unless --bare or "
    "--controllers='*,-local-csi-driver'.",
)
@click.option(
    "--load",
    "load_paths",
    type=click.Path(exists=True, allow_dash=True),
    multiple=True,
    metavar="DUMP",
    help="Begin with the objects of this file as they were, statuses, UIDs and all: what pvbinder export or kubectl "
    f"get -o yaml wrote ({FORMS}). Only into a new data directory; may be repeated.",
)
@source_options
@click.option(
    "--apply",
    "apply_paths",
    type=click.Path(exists=True, allow_dash=True, path_type=Path),
    multiple=True,
    metavar="PATH",
    help="Apply a manifest, a directory of them, or - for stdin, with kubectl when ready; may be repeated.",
)
@click.option("--watch", is_flag=True, help="Show volumes and claims as they change.")
@click.option(
    "--page-port",
    type=click.IntRange(0, 65535),
    metavar="N",
    show_default="any free one; with a command no page is served",
    help="Port of the live page on 127.0.0.1. A link to it is printed, which works once; Enter prints another one.",
)
@click.option("--no-page", is_flag=True, help="Serve no page.")
@process_flags
@click.pass_context
def up(
    ctx: click.Context,
    /,
    data_dir: Path | None,
    ephemeral: bool,
    host: str,
    port: int | None,
    kubeconfig: Path | None,
    token_auth_file: Path | None,
    authorization_mode: AuthorizationMode,
    bare: bool,
    default_class: bool,
    csi_drivers: tuple[str, ...],
    load_paths: tuple[str, ...],
    at_revision: int | None,
    etcd_prefix: str | None,
    apply_paths: tuple[Path, ...],
    watch: bool,
    page_port: int | None,
    no_page: bool,
    verbosity: int,
    log_format: LogFormat,
    config: Path | None,
    **flags: str | None,
) -> int:
    """Start an API server and the controllers in this process.

    A Kubernetes API for kubectl and for programs, with persistent volumes and claims that really bind, and no cluster
    behind it. It prints the kubeconfig to use when it is ready, and stays until Ctrl-C or SIGTERM.

    With a COMMAND after --, the command runs with KUBECONFIG set; everything stops when it ends, and its exit code is
    returned: a whole control plane for one command.
    """
    command: tuple[str, ...] = ctx.meta.get("command", ())
    if ephemeral and data_dir is not None:
        raise WrongUsageError("--ephemeral and --data-dir contradict each other", hint="leave out one of them")
    if bare and default_class:
        raise WrongUsageError("--bare begins without classes, --default-class with one", hint="leave out one of them")
    if command and watch:
        raise WrongUsageError("--watch shows a live view: it can't be combined with a command")
    if no_page and page_port is not None:
        raise WrongUsageError("--no-page and --page-port contradict each other", hint="leave out one of them")
    for address in csi_drivers:
        from pvbinder.cli.csi import check_address  # gRPC takes time to import

        check_address(address, "--csi-driver")
    if kubeconfig is not None:
        check_kubeconfig_is_ours(kubeconfig)
    controllers = read_options(given(flags), config)
    options = UpOptions(
        data_dir=None if ephemeral else (data_dir or default_data_dir()).expanduser().absolute(),
        host=host,
        port=port,
        kubeconfig=kubeconfig.absolute() if kubeconfig is not None else None,
        controllers=controllers,
        bare=bare,
        default_class=default_class,
        csi_drivers=csi_drivers,
        verbosity=verbosity,
        log_format=log_format,
        token_auth_file=token_auth_file.absolute() if token_auth_file is not None else None,
        authorization_mode=authorization_mode,
        load=load_paths,
        load_options=chosen(at_revision, etcd_prefix, load_paths, "--load"),
        apply=apply_paths,
        watch=watch,
        page_port=None if no_page or (command and page_port is None) else page_port or 0,
        command=command,
    )
    check_read_once(*load_paths, *map(str, apply_paths))
    from pvbinder.cli.serve import serve  # the parts that take time to import

    return serve(options)
