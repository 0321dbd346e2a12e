-- Prosody as a target of s2spec. Values in braces are filled in for each instance.
-- A component takes the place of the inner side: it sends and receives all stanzas of its domain.
run_as_root = true
pidfile = "{folder}/prosody.pid"
data_path = "{folder}"
log = { info = "*console" }

interfaces = { "127.0.0.1" }
use_ipv6 = true
c2s_ports = {}
c2s_direct_tls_ports = {}
http_ports = {}
https_ports = {}
s2s_ports = { {s2s-port} }
s2s_direct_tls_ports = {}
component_ports = { {component-port} }
component_interfaces = { "127.0.0.1" }

modules_enabled = { {modules} }
modules_disabled = { "c2s", "offline", "http", "admin_shell" }

s2s_require_encryption = {require-encryption}
s2s_secure_auth = {secure-auth}
-- Known, so that keys can be held against those that XEP-0185 makes of it.
dialback_secret = "{dialback-secret}"
-- Short, because a case that has to be refused may otherwise wait for it.
s2s_timeout = 4

unbound = { resolvconf = false, hoststxt = false, forward = { "{dns}" } }
s2s_ssl = { cafile = "{folder}/ca.crt" }

VirtualHost "{host}"
    ssl = { key = "{folder}/server.key", certificate = "{folder}/server.crt" }

Component "{domain}"
    component_secret = "{secret}"
    ssl = { key = "{folder}/server.key", certificate = "{folder}/server.crt" }
