-- Prosody as a target of s2spec. Values in braces are filled in for each instance.
-- A component takes the place of the inner side: it sends and receives all stanzas of its domain.

-- Only in the lab:
run_as_root = true
pidfile = "{folder-in-quotes}/prosody.pid"
data_path = "{folder-in-quotes}"
log = { info = "*console" }

interfaces = { "127.0.0.1" }
use_ipv6 = true
c2s_ports = {}
c2s_direct_tls_ports = {}
http_ports = {}
https_ports = {}
modules_disabled = { "c2s", "offline", "http", "admin_shell" }

-- Known, so that keys can be held against those that XEP-0185 makes of it.
dialback_secret = "{dialback-secret}"
-- Short, because a case that has to be refused may otherwise wait for it.
s2s_timeout = 4

unbound = { resolvconf = false, hoststxt = false, forward = { "{dns-address}@{dns-port}" } }

-- Only for s2spec:
component_ports = { {component-port} }
component_interfaces = { "127.0.0.1" }

-- Everywhere:
s2s_ports = { {starttls-ports} }

modules_enabled = { "s2s", "disco", "ping"{tls}{saslauth}{dialback}{bidi}{smacks} }

s2s_require_encryption = {require-encryption}
s2s_secure_auth = {secure-auth}

s2s_ssl = { cafile = "{folder-in-quotes}/ca.crt"{tls-versions} }
-- Only with direct TLS:
s2s_direct_tls_ports = { {direct-tls-ports} }
-- The service begins before any domain is known; each domain has its own below.
s2s_direct_tls_ssl = {
    cafile = "{folder-in-quotes}/ca.crt"{tls-versions},
    key = "{folder-in-quotes}/{component-certificate}.key",
    certificate = "{folder-in-quotes}/{component-certificate}.crt",
}
-- Everywhere:

VirtualHost "{host}"
    ssl = {
        key = "{folder-in-quotes}/{host-certificate}.key",
        certificate = "{folder-in-quotes}/{host-certificate}.crt",
    }
    -- Only with direct TLS:
    s2s_direct_tls_ssl = {
        cafile = "{folder-in-quotes}/ca.crt"{tls-versions},
        key = "{folder-in-quotes}/{host-certificate}.key",
        certificate = "{folder-in-quotes}/{host-certificate}.crt",
    }
    -- Everywhere:

-- Only for s2spec:
Component "{component}"
    component_secret = "{secret}"
    ssl = {
        key = "{folder-in-quotes}/{component-certificate}.key",
        certificate = "{folder-in-quotes}/{component-certificate}.crt",
    }
