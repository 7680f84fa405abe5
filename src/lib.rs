//! # axion-agent
//!
//! A deployment agent for Docker Swarm hosts: commands come from Kafka, their effects go to the Engine
//! over its Unix socket, events go back to Kafka. This page is the map of the code; it is meant to be
//! enough to find the file that a change belongs to.
//!
//! ## Bird's-eye
//!
//! ```text
//!  Kafka ── commands ──► kafka ─┐                        ┌─► docker lanes ──► Docker Engine
//!                               ├─► coordinator (main) ──┤        │ stack: Compose → specs → plan
//!  control plane ◄─ gRPC ─ control_plane                 └─► docker query
//!                               │        │
//!  Kafka ◄── events ─── kafka ◄─┘        ├── journal (before any effect)
//!  curl, Prometheus ◄── health ◄─────────┘ published snapshot
//! ```
//!
//! Three sentences decide everything else:
//! 1. **One thread decides; other threads wait.** The coordinator owns the state; each other thread
//!    waits on one kind of thing.
//! 2. **Decide with pure code, act with straight-line blocking code.** `domain` and `stack` decide;
//!    a lane that deploys reads from top to bottom.
//! 3. **Every wait has a name, an owner and an end.** No polled flags, no sleeps, no unbounded queues.
//!
//! ## The rooms
//!
//! | part of the product | room | what to look for |
//! | --- | --- | --- |
//! | configuration | [`config`] | the table of keys is `config/keys.rs`, `config/sections.rs` reads them; the typed result is [`config::Config`]; `agent/reload.rs` hands a new one to the rooms |
//! | gRPC client | [`control_plane`] | `worker.rs` beats when `pace.rs` says, `worker/enrol.rs` enrols, `worker/errands.rs` reports and asks for updates behind a beat, `call.rs` is one cancellable call, `keyring.rs` keeps key and certificate, `line.rs` and `channel.rs` make the channel, `fault.rs` says what went wrong and `probe.rs` looks closer, `access.rs` says over which channel and in whose name, `session/` is the stream for immediate actions and logs; `wire.rs` files map protobuf; the contract is `proto/` |
//! | Kafka consumer | [`kafka`] | `consumer.rs` is the thread, `wire/` reads the record around a command |
//! | Kafka producer | [`kafka`] | `producer/` is the thread: `transactions.rs` decides which call comes next, `transact.rs` makes it, `readback.rs` reads what counts; `wire/` makes the record around an event |
//! | Docker manager | [`docker`] | `client.rs` and `api/` speak to the Engine, `events.rs` listens to it, `lane.rs` runs commands, one file or folder per command; `room.rs` is what a running command works with |
//! | stack deploy | [`stack`] and `docker/deploy/` | `stack` is pure: Compose text → model (`load/`) → specs (`convert/`, `spec/`), the files as one (`normal.rs`), what differs and what that does (`compare.rs`, `change.rs`), what is to be done to each object (`plan/`). `docker/deploy/` acts on it: what is there (`prepare.rs`), what is changed (`apply.rs`), what went wrong (`trouble.rs`), whether it runs (`watch.rs`) |
//! | health server | [`health`] | `gate.rs` caps connections, `scrape.rs` answers Prometheus, `pages.rs` everybody else |
//! | telemetry collector | [`telemetry`] | `family.rs` is the table of metrics, `own.rs` counts, `worker.rs` is the thread that looks; `host/` and `cgroup/` read the kernel's files, `containers.rs` knows which there are, `page.rs` is the text format |
//! | command line | [`cli`] | `definition/` is the table that parsing, help, completions and manual pages come from; `client.rs` is one call over the socket, `deploy.rs` and `change.rs` give commands, `watch/` follows one to its end, `show/` prints answers, `keys/` makes keys, signs and verifies, `failure.rs` and `next.rs` say what went wrong and what to do |
//! | IPC server | [`ipc`] | `door.rs` is the thread that reads what all clients ask, `route.rs` says what that is, `serve.rs` answers one of them, `stream.rs` goes on answering; `coordinator/on_ipc.rs` is its other end, `agent/local.rs` what is looked at; `docs/ipc.openapi.json` describes it. The command line ([`cli`]) is its client |
//! | update manager | [`update`] | `manifest.rs` and `decide.rs` are the rules, `worker.rs` is the agent's thread, `install.rs` root's helper, `launch.rs` the start that becomes the current version, `trial.rs` whether a new one is healthy; `versions.rs` and `staging.rs` are the two folders. [`https`] fetches, [`signing`] believes, `coordinator/on_update.rs` is its other end, [`control_plane`] brings what is offered |
//! | doctor | [`doctor`] | `catalogue.rs` is the table of checks, one file per subject looks and judges, `round.rs` does all side by side; what only a room can ask is its `examine.rs`; `agent/diagnosis.rs` says what is looked at. `bundle/` writes what `support-bundle` gathers |
//! | logs | [`logging`] | `line.rs` is what a line looks like, `directives.rs` the levels, `repeats.rs` what is counted in place of being written; what a line is about is [`threads::Errand`], entered by the lanes, the coordinator and the socket |
//! | retry and shutdown | [`threads`], [`coordinator`] | [`threads::Backoff`], [`threads::supervise`]; the phases of leaving are `coordinator/shutdown.rs` |
//!
//! Around them: [`domain`] (pure: what a command, an event, a verdict is, and what may run when),
//! [`journal`] (the durable record), [`record`] (the JSON of commands and events), [`signing`] (what a known key has signed), [`coordinator`] (the loop), [`agent`] (the only wiring), [`cli`]
//! (the command line), [`service`] (the words to the service manager), [`proto`] (generated messages).
//!
//! Imports run one way: `main → cli → agent → coordinator → faces of the rooms → domain, threads`. Rooms
//! never import each other; `docker` uses `stack`, which is its library, `record` is that of the rooms
//! that carry commands and of `cli`, [`signing`] that of `record`, of those rooms, of `config`, `update` and `cli`, [`filesystem`] (how much room is left) that of `docker`, `journal` and `update`, [`https`] that of `update`, and [`unix_http`] (HTTP over
//! a Unix socket) that of `docker` and `cli`, [`logging`] that of `config`, `ipc`, `agent` and `cli`. [`doctor`] asks the faces of rooms, as the coordinator does; [`bundle`] is a library of `cli`. `tests/layering.rs` enforces it.
//!
//! ## Where would you add …
//!
//! - **a configuration key**: its row in `config/keys.rs` (which also says whether a change needs a restart),
//!   its field in the section's struct in `config/mod.rs`, its reading in `config/sections.rs`; [`agent`]
//!   puts it into the `Settings` of the room that wants it. The example file and `config check` follow from
//!   the table and tests hold them together, with `docs/configuration.md` too. A reload takes the key over, through a
//!   published `Settings` or a message to the room, unless `AFTER_RESTART` in the table lists it.
//! - **a word of the command line**: its row in `cli/definition/`, what it comes to in `cli/args.rs`, its file in `cli/`;
//!   help, completions and manual pages follow, tests hold them together. What it prints with `--json` has a schema in
//!   `docs/schema/`, named in `cli/schema.rs`; a code of its own is in `cli/failure.rs` and `docs/cli.md`, the next step
//!   after a code of the agent in `cli/next.rs`.
//! - **a reason to refuse every command of a kind**: `coordinator/rules.rs`, which also says who needs a signature.
//! - **a rule for signed commands**: `record/signed.rs`; how keys and envelopes are written: [`signing`]; where keys come from:
//!   `agent/trust.rs`.
//! - **a command**: its variant, and what it changes, in `domain/command.rs`; its name in
//!   `record/command.rs`, its payload in `record/payload.rs`; its file in `docker/`, called by
//!   `docker/lane.rs` (in `docker/deploy/` where it writes whole specs and waits for a deploy's verdict); a
//!   code for each way it can fail in `domain/code.rs`; README's table and
//!   `docs/commands.md`. One that no lane has a part in is answered in `coordinator/on_cancel.rs` or `on_pause.rs`.
//! - **a Compose option**: its reading in `stack/load/` (out of `ignored.rs`, if it was there), its mapping
//!   in `stack/convert/`, the Engine's field in `stack/spec/`. Options of a container are the same in
//!   Compose and Engine: `stack/load/container.rs` fills the spec itself.
//! - **a reason why a deploy fails**: what the engine says of a task → a code in `docker/deploy/trouble.rs`,
//!   how often is too often in `docker/deploy/watch.rs`, the code in `domain/code.rs` and in README's table.
//! - **something to be sure of before a deploy makes anything**: what is looked at in `docker/deploy/checks.rs`, what is decided in
//!   `stack/plan/`; what Swarm cannot change goes the way of `docker/deploy/replace.rs`.
//! - **a way in which a broker refuses us**: its code and words in `kafka/trouble.rs`, its row in `docs/kafka.md`.
//! - **an answer to a record that is no command**, dead letters too: `record/error.rs`; what is told where nobody can be
//!   answered, and of records that are gone: `coordinator/on_loss.rs`.
//! - **a field of an event**: `domain/event.rs` and `domain/outcome.rs`; its spelling in `record/event.rs`.
//! - **something to hear of the engine**: the filter in `docker/events.rs`, whom it wakes in `docker/changes.rs`.
//! - **a field of every line of the log about a command**: `Context::errand` in `domain/command.rs`. Work for a command on a further
//!   kind of thread begins its [`threads::Errand`] there.
//! - **a metric**: its row in `telemetry/family.rs` and where it is counted (`own.rs`) or read (`host/`, `cgroup/`); `docs/metrics.md` is made from
//!   the table. The coordinator counts when it hears of something, so what a lane alone knows must be in its event. **A health page**, or a limit on its clients: `health/pages.rs`, `health/gate.rs`.
//! - **a fault of the link to the control plane**: its code and its mend in `control_plane/fault.rs`, its row in
//!   docs/control-plane.md; what only the handshake shows is found in `control_plane/probe.rs`.
//! - **a word of the session**: `proto/`, its mapping in `control_plane/session/wire.rs`; what it means to a stream or a
//!   log is `control_plane/session/`, what it means to a command is `coordinator/on_session.rs`.
//! - **a number that is reported**: `Reported` in its row of `telemetry/family.rs`; each costs bytes
//!   on every link, which `tests/control_plane/beats.rs` bounds.
//! - **a call that may wait for a beat**: its rhythm in `control_plane/pace/errands.rs`, what it does in `control_plane/worker/errands.rs`.
//! - **a field of the heartbeat**: `proto/` and `control_plane/wire.rs`; it is read from [`domain::Health`].
//! - **a rule of delivery**, or another order of writes: what it decides stays pure, and `coordinator/tests/search/` makes every
//!   step of it in every order; what may happen to brokers, disk and engine is modelled there.
//! - **how long leaving may take**: the constants of `coordinator/shutdown.rs`, one for each phase.
//! - **a path of the local socket**: `ipc/route.rs` and its table, the answer in `ipc/serve.rs` (what has to be asked of a room: `ipc::Reads`,
//!   answered in `agent/local.rs`), its description in `docs/ipc.openapi.json`, which a test holds against the server.
//! - **a check of the doctor**: its row in `doctor/catalogue.rs`, its verdict in the subject's file; `docs/doctor.md` is made from the table.
//! - **a rule for releases**: `update/decide.rs`, its code in `domain/code.rs`, its row in `docs/update.md`. **A step of the helper**: its place in the
//!   lists of `update/install.rs`; its tests cut the power behind each.
//! - **a thread**: `spawn` in its room's face, its channel and its stop in [`agent`], its phase in
//!   `coordinator/shutdown.rs`, its row in the table below; if the agent cannot be without it, its sign of
//!   life around what could hang.
//!
//! ## Threads
//!
//! | thread | owner | waits on | wakes when idle |
//! | --- | --- | --- | --- |
//! | main (`axion-agent` in `top -H`) | [`coordinator`] | its channels | with events only; every `health.check_interval` to look at the free space; once an hour to forget old ids; under a watchdog twice in its time |
//! | `signals` | [`agent`] | SIGTERM, SIGINT, SIGHUP (a pipe) | never |
//! | `journal` | [`journal`] | its requests | never |
//! | `docker-lane-N` | [`docker`] | its job; inside one: the Engine | never |
//! | `docker-helper` | [`docker`] | the Engine | never there: it lives as long as several calls of a lane that are made at once |
//! | `docker-query` | [`docker`] | its job | never |
//! | `docker-events` | [`docker`] | the Engine's event stream | with Docker's events |
//! | `log-follow` (one for each log that is followed) | [`docker`] | the Engine's log stream, its reader | never there: it lives as long as somebody follows |
//! | `ipc` | [`ipc`] | connections, what their clients send, its wake-up | never |
//! | `ipc-client`, `ipc-stream` (one for each request) | [`ipc`] | the coordinator, the Engine, its client | never there: a stream wakes every 15 s |
//! | `ipc-stop` | [`ipc`] | the stop, to wake the first | never |
//! | `kafka-consumer` | [`kafka`] | librdkafka's queue (woken by a callback), its stop | the topic's metadata and the group's offsets once a minute |
//! | `kafka-producer` | [`kafka`] | its requests, librdkafka's queue, its stop | never |
//! | `rdk:main`, `rdk:broker…` | librdkafka | sockets, its timers (1 s) | about once a second each |
//! | `control-plane` | [`control_plane`] | the next beat, its stop, an answer | every 5 s |
//! | `grpc-session` | [`control_plane`] | the session's stream, the coordinator, lines of logs, a new access | never |
//! | `grpc-cq-0` | [`control_plane`] | answers | with beats |
//! | `timer_manager`, `event_engine`, `grpc_global_timer`, `default-executor`, `resolver-executor` | gRPC's core (in the static binary they bear the name of the thread that made them: `control-plane`) | sockets, timers | together less than ten times a second |
//! | `health-gate` | [`health`] | connections, its wake-up | never |
//! | `health-http` (several: tiny_http's own too) | [`health`] | a request | never |
//! | `update` (only where updates are wanted, or one is on trial) | [`update`] | a command, an offer, the time of its next look, its stop | never, or every `update.check_interval`; once a second during a trial |
//! | `telemetry` | [`telemetry`] | the time of its next look, new settings, its stop | every `telemetry.interval_seconds` |
//! | `doctor-…` (one for each part and each broker) | [`doctor`] | what it looks at | never there: they live for a look, at most seconds |
//! | `health-stop` | [`health`] | the stop, to wake the other two | never |
//! | `cli-stream`, `cli-signals`, `cli-answer` | [`cli`], in its own process | the agent's socket; SIGINT, SIGTERM, SIGHUP; the terminal | never: they live as long as a command is watched |
//!
//! Threads that the agent cannot be without (`coordinator/exit.rs`) end the process when they end; the
//! service manager starts it again and the journal recovers: the same road as after `kill -9`.
//! The same happens when one hangs: each says until when it will have come back from what it does
//! ([`threads::alive_by`]; a lane: its command's deadline), or that it waits ([`threads::at_rest`]). The
//! loop feeds the service manager's watchdog while it runs and none of them is late
//! (`coordinator/pulse.rs`).
//!
//! ## One deploy, read forward
//!
//! `kafka/consumer.rs` (bytes and their position) → [`record`] (bytes → [`domain::Command`], a refusal or
//! a dead letter) → `coordinator/on_command.rs` (a duplicate? timely? journal, admit) →
//! [`domain::Admission`] (one changing command per stack, lanes side by side) → `docker/lane.rs` →
//! `docker/deploy/` (load, observe, plan, apply, converge; each change is a step that is written down
//! before and after) → `coordinator/on_docker.rs` (the result is journalled) →
//! `kafka/producer/` (the event) → `coordinator/on_report.rs` (the broker has it: the position moves).
//! After a crash, what was accepted and not finished enters its lane again at *observe*; what was
//! finished and not confirmed is sent again with the same event id.
//!
//! An action of the control plane's session joins at `coordinator/on_command.rs`, through
//! `control_plane/session/` and `coordinator/on_session.rs`; its end is owed to the session beside the topic, and
//! the command is reported once both have it.
//!
//! A command of the local socket joins there too, through `ipc/` and `coordinator/on_ipc.rs`; whoever listens is told what
//! everybody is told, and nothing is kept for them.
//!
//! ## Invariants
//!
//! - Nothing changes the swarm before the command, and the step, are on disk. What came in one burst shares a write.
//! - A command has exactly one terminal event, for a reader of what is committed; its id is the same however often it is sent.
//! - With exactly-once no end is sent before the event topic was read back, and none is sent that is on it.
//! - A position never moves past a command whose terminal event the broker has not confirmed.
//! - A record that is no command, or is gone, is told of before the position moves past it.
//! - Blocks for what the journal may still need are reserved on the disk (`journal/reserve.rs`); a failed flush is never tried again.
//! - No id is forgotten while its record could be read again, or while the wall clock jumps.
//! - Nothing of an envelope is believed before a known key is seen to have signed it, its command_id neither.
//! - A command is forgotten only when everybody who is owed its terminal event has confirmed it.
//! - Every channel is bounded, and the bound is a named constant with its reason. Workers may block when
//!   they report; the coordinator never blocks on a worker.
//! - Stopping the agent never stops containers.
//! - A secret is a [`domain::Sensitive`]: it has no `Display`, and its `Debug` says only that it is there.
//!
//! ## Words
//!
//! *Command*: from outside, with an id. *Request*: to a worker. *Event*: from a worker, or to the outside.
//! *Report*: an event on its way to the broker. *Step*: one change to the swarm, written down before it is
//! made. *Lane*: a thread that carries out changing commands. *Revision*: a state of a stack that was seen
//! to run. *Mark*, or low-water mark: the first offset whose command has no confirmed terminal event.
//! Everything else is Swarm's, Compose's or Kafka's own term.

pub mod agent;
pub mod bundle;
pub mod cli;
pub mod config;
pub mod control_plane;
pub mod coordinator;
pub mod docker;
pub mod doctor;
pub mod domain;
pub mod filesystem;
pub mod health;
pub mod https;
pub mod ipc;
pub mod journal;
pub mod kafka;
pub mod logging;
pub mod memory;
pub mod proto;
pub mod record;
pub mod service;
pub mod signing;
pub mod stack;
pub mod telemetry;
pub mod threads;
pub mod unix_http;
pub mod update;
