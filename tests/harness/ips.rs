//! A stub of the IPS on a free port: answers from a table, records the requests, and can hold
//! an answer back.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// One request as it arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Request {
    /// `POST /cgi-bin/boot_manager.sh?cmd=vm`.
    pub(crate) line: String,
    pub(crate) authorization: Option<String>,
    pub(crate) body: String,
}

#[derive(Default)]
struct State {
    configs: HashMap<String, Vec<u8>>,
    answers: HashMap<String, (u16, Vec<u8>, String)>,
    requests: Vec<Request>,
    held: Vec<TcpStream>,
    hold: Option<String>,
}

/// The stub; it ends with the test.
#[derive(Clone)]
pub(crate) struct Ips {
    state: Arc<Mutex<State>>,
    pub(crate) url: String,
}

impl Ips {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let state = Arc::<Mutex<State>>::default();
        let ips = Self {
            state: state.clone(),
            url,
        };
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let state = state.clone();
                std::thread::spawn(move || serve(&stream, &state));
            }
        });
        ips
    }

    /// Sets the config of a VM; any bytes.
    pub(crate) fn config(&self, id: &str, text: impl Into<Vec<u8>>) -> &Self {
        self.state
            .lock()
            .unwrap()
            .configs
            .insert(id.to_owned(), text.into());
        self
    }

    /// Sets the answer to every request whose query contains `part`, with additional header
    /// lines.
    pub(crate) fn answer(&self, part: &str, status: u16, body: &str, headers: &str) -> &Self {
        let answer = (status, body.as_bytes().to_vec(), headers.to_owned());
        self.state
            .lock()
            .unwrap()
            .answers
            .insert(part.to_owned(), answer);
        self
    }

    /// Holds every request whose query contains `part` from now on; its connection stays open.
    pub(crate) fn hold(&self, part: &str) {
        self.state.lock().unwrap().hold = Some(part.to_owned());
    }

    /// Answers all requests again; those already held stay held.
    pub(crate) fn release(&self) {
        self.state.lock().unwrap().hold = None;
    }

    /// The number of held requests.
    pub(crate) fn held(&self) -> usize {
        self.state.lock().unwrap().held.len()
    }

    pub(crate) fn requests(&self) -> Vec<Request> {
        self.state.lock().unwrap().requests.clone()
    }

    /// The bodies of all reports.
    pub(crate) fn reports(&self) -> Vec<String> {
        let reports = self
            .requests()
            .into_iter()
            .filter(|r| r.line.contains("report=report"));
        reports.map(|request| request.body).collect()
    }
}

fn serve(stream: &TcpStream, state: &Mutex<State>) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    while let Some(request) = read(&mut reader) {
        let answer = {
            let mut state = state.lock().unwrap();
            state.requests.push(request.clone());
            if state
                .hold
                .as_ref()
                .is_some_and(|part| request.line.contains(part.as_str()))
            {
                state.held.push(stream.try_clone().unwrap());
                return;
            }
            answer(&state, &request)
        };
        let mut stream = stream;
        if stream.write_all(&answer).is_err() {
            return;
        }
    }
}

fn answer(state: &State, request: &Request) -> Vec<u8> {
    let matching = state
        .answers
        .iter()
        .find(|(part, _)| request.line.contains(part.as_str()));
    let (status, body, headers) = match (matching, asked_for(&request.line)) {
        (Some((_, answer)), _) => answer.clone(),
        (None, Some(id)) => match state.configs.get(id) {
            Some(text) => (200, text.clone(), String::new()),
            None => (404, b"error=no such VM\n".to_vec(), String::new()),
        },
        (None, None) => (204, Vec::new(), String::new()),
    };
    let length = if status == 204 {
        String::new()
    } else {
        format!("Content-Length: {}\r\n", body.len())
    };
    let mut answer = format!("HTTP/1.1 {status} X\r\n{length}{headers}\r\n").into_bytes();
    answer.extend(body);
    answer
}

/// The vm_id of a `get_config`.
fn asked_for(line: &str) -> Option<&str> {
    let (_, rest) = line.split_once("get_config=get_config&vm_id=")?;
    rest.split([' ', '&']).next()
}

fn read(reader: &mut BufReader<TcpStream>) -> Option<Request> {
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        let line = line.trim_end();
        if line.is_empty() {
            break;
        }
        lines.push(line.to_owned());
    }
    let header = |name: &str| {
        lines.iter().skip(1).find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name)
                .then(|| value.trim().to_owned())
        })
    };
    let length = header("content-length")
        .and_then(|n| n.parse().ok())
        .unwrap_or(0);
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(Request {
        line: lines.first()?.trim_end_matches(" HTTP/1.1").to_owned(),
        authorization: header("authorization"),
        body: String::from_utf8_lossy(&body).into_owned(),
    })
}
