//! The control plane over gRPC: enrolment and heartbeats, on the thread `control-plane`.
