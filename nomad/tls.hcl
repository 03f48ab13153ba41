# Encryption and mutual authentication, beside server.hcl or client.hcl. Without it everybody in the network can read
# tokens, and pretend to be a node. The certificates, once, on one machine:
#   nomad tls ca create
#   nomad tls cert create -server        # one for all servers: server.global.nomad; -additional-ipaddress for each
#   nomad tls cert create -client        # one for all nodes: client.global.nomad
#   nomad tls cert create -cli           # for people and for Winslow
# and to every machine, as /etc/nomad.d/tls/agent.pem and agent-key.pem, the pair of its role, with the authority's
# nomad-agent-ca.pem as ca.pem. The authority's key stays where it was made.
#
# Winslow then takes NOMAD_ADDR=https://..., NOMAD_CACERT, NOMAD_CLIENT_CERT and NOMAD_CLIENT_KEY. Where the address is
# none of the certificate's, NOMAD_TLS_SERVER_NAME=server.global.nomad.
# Certificates are read again on SIGHUP; they live a year unless made with -days.

tls {
  http = true
  rpc  = true

  ca_file   = "/etc/nomad.d/tls/ca.pem"
  cert_file = "/etc/nomad.d/tls/agent.pem"
  key_file  = "/etc/nomad.d/tls/agent-key.pem"

  # A node's certificate does not make it a server, and a client of the API must have one of ours.
  verify_server_hostname = true
  verify_https_client    = true
}
