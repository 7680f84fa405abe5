//! Compiles `proto/` without protoc: messages by protobuf-codegen, and for each rpc the
//! `grpcio::Method` that client and server share.

use protobuf_codegen::Codegen;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, error::Error, fs};

const PROTO: &str = "proto/axion/agent/v1/agent.proto";

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed={PROTO}");
    let out = PathBuf::from(env::var("OUT_DIR")?).join("proto");
    fs::create_dir_all(&out)?;
    Codegen::new().pure().include("proto").input(PROTO).out_dir(&out).run()?;
    fs::write(out.join("methods.rs"), methods()?)?;
    Ok(())
}

/// One constant per rpc, such as `HEARTBEAT: Method<HeartbeatRequest, HeartbeatResponse>`.
fn methods() -> Result<String, Box<dyn Error>> {
    let parsed = protobuf_parse::Parser::new().pure().include("proto").input(Path::new(PROTO)).file_descriptor_set()?;
    let mut code = String::new();
    for file in &parsed.file {
        for service in &file.service {
            for method in &service.method {
                let kind = match (method.client_streaming(), method.server_streaming()) {
                    (false, false) => "Unary",
                    (true, false) => "ClientStreaming",
                    (false, true) => "ServerStreaming",
                    (true, true) => "Duplex",
                };
                let message = |full: &str| format!("super::agent::{}", full.rsplit('.').next().unwrap_or(full));
                let (request, response) = (message(method.input_type()), message(method.output_type()));
                writeln!(
                    code,
                    "/// The rpc `{service}/{name}`.\n\
                     pub const {constant}: ::grpcio::Method<{request}, {response}> = ::grpcio::Method {{\n    \
                         ty: ::grpcio::MethodType::{kind},\n    \
                         name: \"/{package}.{service}/{name}\",\n    \
                         req_mar: ::grpcio::Marshaller {{ ser: ::grpcio::pb_ser, de: ::grpcio::pb_de }},\n    \
                         resp_mar: ::grpcio::Marshaller {{ ser: ::grpcio::pb_ser, de: ::grpcio::pb_de }},\n\
                     }};",
                    service = service.name(),
                    name = method.name(),
                    constant = screaming(method.name()),
                    package = file.package(),
                )?;
            }
        }
    }
    Ok(code)
}

/// `CheckForUpdate` becomes `CHECK_FOR_UPDATE`.
fn screaming(camel: &str) -> String {
    let mut out = String::new();
    for (i, c) in camel.char_indices() {
        if c.is_ascii_uppercase() && i > 0 {
            out.push('_');
        }
        out.push(c.to_ascii_uppercase());
    }
    out
}
