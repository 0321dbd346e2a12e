//! The embedded proxy with an attacker in between: between it and its gateway, or between it and the
//! partners that dial it.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use s2spec::case::Case;
use s2spec::lab::Lab;
use s2spec::subject::inner_side::InnerSide;
use s2spec::subject::reference::Reference;
use s2spec::subject::{Inside, Pending, Placement, Running, StartError, Stop, Target};
use simulated_partners::inner::component;
use simulated_partners::wire::Element;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::wrong_targets::component_server;

const UNLISTED: &str = "unlisted.example";
const CHUNK: usize = 8192;

/// The direction of a stanza.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// From the target to the component.
    In,
    /// From the component to the target.
    Out,
}

/// What to forward in place of a stanza.
pub(crate) type Stanzas = fn(Way, Element) -> Vec<(Way, Element)>;

/// What a partner that dials sees.
#[derive(Clone, Copy)]
pub(crate) enum Front {
    /// The proxy itself.
    Proxy,
    /// The proxy with a text replaced where TLS does not hide it.
    Rewritten(&'static str, &'static str),
    /// A listener that accepts connections and is silent.
    Silent,
}

/// The embedded proxy, tampered with.
pub(crate) struct Tampered {
    pub(crate) stanzas: Stanzas,
    pub(crate) front: Front,
}

/// Changes nothing.
pub(crate) fn faithful(way: Way, stanza: Element) -> Vec<(Way, Element)> {
    vec![(way, stanza)]
}

const PROXY: Reference = Reference {
    strict_certificates: false,
};

impl Target for Tampered {
    fn name(&self) -> String {
        "a proxy that is tampered with".to_owned()
    }

    fn place(&self, case: &Case) -> Placement {
        PROXY.place(case)
    }

    fn start<'a>(
        &'a self,
        lab: &'a Lab,
        group: &'a str,
        cases: &'a [Case],
    ) -> Pending<'a, Result<(Running, Stop), StartError>> {
        Box::pin(async move {
            let (proxy, stop_proxy) = PROXY.start(lab, group, cases).await?;
            let Running {
                domain,
                second,
                secret,
                address,
                other_member,
                direct_tls,
                inner: Inside::Linked(inner),
                patience,
                process,
                is_inside,
                clock,
                traces,
                administrator,
            } = proxy
            else {
                return Err(trouble(&io::Error::other("the proxy has an inner side")));
            };
            let mut tasks = JoinSet::new();
            let inner = self
                .gateway(&domain, inner, cases, &mut tasks)
                .await
                .map_err(|error| trouble(&error))?;
            let address = self
                .front(address, &mut tasks)
                .await
                .map_err(|error| trouble(&error))?;
            let stop: Stop = Box::new(move || {
                Box::pin(async move {
                    tasks.shutdown().await;
                    stop_proxy().await
                })
            });
            Ok((
                Running {
                    domain,
                    second,
                    secret,
                    address,
                    other_member,
                    // The proxy takes it at the same address.
                    direct_tls: direct_tls.map(|_| address),
                    inner: inner.into(),
                    patience,
                    process,
                    is_inside,
                    clock,
                    traces,
                    administrator,
                },
                stop,
            ))
        })
    }
}

impl Tampered {
    /// A link for the harness that leads to the proxy's gateway side.
    async fn gateway(
        &self,
        domain: &str,
        behind: InnerSide,
        cases: &[Case],
        tasks: &mut JoinSet<()>,
    ) -> io::Result<InnerSide> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let (to_gateway, from_proxy) = mpsc::unbounded_channel();
        let domains = cases.iter().map(Case::domain);
        for domain in domains.chain([UNLISTED.to_owned()]) {
            let mut stanzas = behind.open(std::slice::from_ref(&domain), false, None);
            let to_gateway = to_gateway.clone();
            tasks.spawn(async move {
                while let Some(stanza) = stanzas.next().await {
                    if to_gateway.send(stanza).is_err() {
                        return;
                    }
                }
            });
        }
        let (to_component, arriving) = mpsc::unbounded_channel();
        let (leaving, from_component) = mpsc::unbounded_channel();
        tasks.spawn(async move {
            // Any end closes the link, which the harness notices.
            let _ = component_server::serve(listener, arriving, leaving, |bytes| bytes).await;
        });
        let stanzas = self.stanzas;
        tasks.spawn(async move {
            bridge(stanzas, &behind, from_proxy, from_component, &to_component).await;
        });
        let link = component::connect(address, domain, "")
            .await
            .map_err(io::Error::other)?;
        let from = format!("barrier@{domain}");
        Ok(InnerSide::new(link, &from, &format!("nobody@{UNLISTED}")))
    }

    async fn front(&self, proxy: SocketAddr, tasks: &mut JoinSet<()>) -> io::Result<SocketAddr> {
        if matches!(self.front, Front::Proxy) {
            return Ok(proxy);
        }
        let front = self.front;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                connections.spawn(async move {
                    match front {
                        Front::Rewritten(from, to) => {
                            let _ = relay(stream, proxy, from, to).await;
                        }
                        Front::Silent | Front::Proxy => {
                            let mut stream = stream;
                            let _ = tokio::io::copy(&mut stream, &mut tokio::io::sink()).await;
                        }
                    }
                });
            }
        });
        Ok(address)
    }
}

fn trouble(error: &io::Error) -> StartError {
    StartError::Environment(error.to_string())
}

/// Passes stanzas on, or what they become, until one side ends.
async fn bridge(
    stanzas: Stanzas,
    behind: &InnerSide,
    mut from_proxy: mpsc::UnboundedReceiver<Element>,
    mut from_component: mpsc::UnboundedReceiver<Element>,
    to_component: &mpsc::UnboundedSender<Element>,
) {
    loop {
        let (way, stanza) = tokio::select! {
            stanza = from_proxy.recv() => (Way::In, stanza),
            stanza = from_component.recv() => (Way::Out, stanza),
        };
        let Some(stanza) = stanza else {
            return;
        };
        for (way, stanza) in stanzas(way, stanza) {
            match way {
                Way::Out => behind.send(&stanza).await,
                Way::In if stanza.name == CUT => return,
                // Whether it is still there, shows above.
                Way::In => drop(to_component.send(stanza)),
            }
        }
    }
}

/// A stanza of this name ends the link instead of being passed in.
pub(crate) const CUT: &str = "cut";

async fn relay(mut near: TcpStream, proxy: SocketAddr, from: &str, to: &str) -> io::Result<()> {
    let mut far = TcpStream::connect(proxy).await?;
    let (mut near_in, mut near_out) = near.split();
    let (mut far_in, mut far_out) = far.split();
    let forth = async {
        tokio::io::copy(&mut near_in, &mut far_out).await?;
        far_out.shutdown().await
    };
    let back = async {
        let mut chunk = vec![0; CHUNK];
        loop {
            let length = far_in.read(&mut chunk).await?;
            if length == 0 {
                return near_out.shutdown().await;
            }
            match std::str::from_utf8(&chunk[..length]) {
                Ok(text) => {
                    near_out
                        .write_all(text.replace(from, to).as_bytes())
                        .await?
                }
                Err(_) => near_out.write_all(&chunk[..length]).await?,
            }
        }
    };
    tokio::try_join!(forth, back).map(|_| ())
}
