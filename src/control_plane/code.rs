//! The stable codes of what is wrong with the link to the control plane. The table is in docs/control-plane.md.

use crate::domain::codes;

/// A stable code such as `control_plane.unknown_ca`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LinkCode(&'static str);

codes! { LinkCode:
    /// The token, the credential or the certificate is not taken.
    UNAUTHENTICATED = "control_plane.unauthenticated";
    /// The agent is known and not allowed in.
    PERMISSION_DENIED = "control_plane.permission_denied";
    /// The agent is not enrolled and has no token.
    NO_TOKEN = "control_plane.no_token";
    /// The server wants a certificate, and the agent has none.
    CERTIFICATE_REQUIRED = "control_plane.certificate_required";
    /// The agent's certificate is over.
    CERTIFICATE_EXPIRED = "control_plane.certificate_expired";
    /// The agent's certificate was revoked.
    CERTIFICATE_REVOKED = "control_plane.certificate_revoked";
    /// The server does not know who made the agent's certificate.
    CERTIFICATE_UNKNOWN_CA = "control_plane.certificate_unknown_ca";
    /// The server does not take the agent's certificate for another reason.
    CERTIFICATE_REFUSED = "control_plane.certificate_refused";
    /// The server's certificate is over.
    SERVER_EXPIRED = "control_plane.server_expired";
    /// The server's certificate is not valid yet.
    SERVER_NOT_YET_VALID = "control_plane.server_not_yet_valid";
    /// No CA that the agent knows has made the server's certificate.
    UNKNOWN_CA = "control_plane.unknown_ca";
    /// The server's certificate is for other names.
    SERVER_OTHER_NAME = "control_plane.server_other_name";
    /// The server's certificate cannot be used for another reason.
    SERVER_CERTIFICATE = "control_plane.server_certificate";
    /// TLS on a port that does not speak it.
    NOT_TLS = "control_plane.not_tls";
    /// Plain text on a port that speaks TLS.
    NEEDS_TLS = "control_plane.needs_tls";
    /// No version of TLS or no cipher in common.
    NO_COMMON_TLS = "control_plane.no_common_tls";
    /// No secure connection, for a reason that neither end gives.
    HANDSHAKE = "control_plane.handshake";
    /// A certificate, key or CA file is missing or holds something else.
    FILES = "control_plane.files";
    /// The name cannot be resolved.
    NAME_UNKNOWN = "control_plane.name_unknown";
    /// The proxy wants another login.
    PROXY_LOGIN = "control_plane.proxy_login";
    /// The proxy does not lead there.
    PROXY_REFUSED = "control_plane.proxy_refused";
    /// Nothing answers.
    AWAY = "control_plane.away";
    /// The connection was closed.
    CLOSED = "control_plane.closed";
    /// No answer in time.
    SLOW = "control_plane.slow";
    /// What answers does not know the call.
    UNIMPLEMENTED = "control_plane.unimplemented";
    /// An answer that cannot be used.
    ANSWER = "control_plane.answer";
    /// An answer that is larger than the agent reads.
    ANSWER_TOO_LARGE = "control_plane.answer_too_large";
    /// Another error of the server.
    FAILED = "control_plane.failed";
}

impl LinkCode {
    /// The text in health and log.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        self.0
    }
}
