import Charging
import Crypto
import Glibc
import HTTPClient
import JSON
import Service

extension Program {
    static let enrolCommand = CommandTable.Command(
        "enrol", arguments: ["URI|CODE"],
        flags: [
            .init("--config", "FILE", "configuration (/etc/kerb/edge.yaml)"),
            .init("--cpo", "URL", "with a typed code: the operator's address, https://HOST:PORT"),
            .init(
                "--ca", "SHA256", "with a typed code: fingerprint of who signed his certificate"),
            .init("--replace", "take the place of an identity that is there already"),
        ],
        "get this board's identity by the operator's QR code or one-time code; - reads it from "
            + "standard input")

    /// Exchanges the code for the identity and writes it: all of it or nothing.
    ///
    /// Whatever can go wrong on this board is found out before the code is spent. The configuration is
    /// replaced last and in one piece, and names the new files; until then the old identity holds.
    static func enrol(_ invocation: CommandTable.Invocation) async throws -> ExitCode {
        let ticket = try ticket(invocation)
        let path = configurationPath(invocation)
        let place = try EnrolmentPlace(configuration: path)
        if let old = place.identity, !invocation.has("--replace") {
            throw Failure(
                code: .refused,
                text: "\(path): this board is \(old) already; --replace makes it another station")
        }
        // Twenty characters are what OCPP 1.6 lets a password have; five random bits each.
        let password = String(
            (OneTimeCode(RandomBytes.make(OneTimeCode.byteCount)).text
                + OneTimeCode(RandomBytes.make(OneTimeCode.byteCount)).text)
                .filter { $0 != "-" }.prefix(20))
        do {
            let authority = try await authority(ticket)
            try place.write(password: password, authority: authority)
            // With what is known now: a configuration that cannot take it must not cost the code.
            _ = try place.edited(
                Identity(
                    station: ticket.station ?? "CS", url: "wss" + ticket.cpo.dropFirst(5) + "/ocpp",
                    hasAuthority: authority != nil))
            let identity = try await exchange(ticket, password, place.authorityFile(authority))
            if identity.hasAuthority, authority == nil {
                place.note("his own authority is not taken: it came without a fingerprint")
            }
            let text = try place.edited(
                Identity(
                    station: identity.station, url: identity.url, hasAuthority: authority != nil))
            try place.commit(text)
            if invocation.isJSON {
                print(
                    JSONValue.members([
                        "station": .string(identity.station), "url": .string(identity.url),
                        "passwordFile": .string(place.passwordFile),
                    ]).text)
            } else {
                print("\(path): this board is \(identity.station) at \(identity.url)")
                print("\(place.passwordFile): its password")
                for note in place.notes { print(note) }
                print("next: kerb-edge config check \(path) && systemctl restart kerb-edge")
            }
            return .done
        } catch {
            place.withdraw()
            throw error
        }
    }

    /// Who this board is, as the operator answers.
    struct Identity {
        var station: String
        var url: String
        var hasAuthority: Bool
    }

    private static func ticket(_ invocation: CommandTable.Invocation) throws -> EnrolmentURI {
        var word = invocation.arguments[0]
        if word == "-" { word = readLine(strippingNewline: true) ?? "" }
        if let uri = EnrolmentURI(word) {
            guard invocation.value("--cpo") == nil, invocation.value("--ca") == nil else {
                throw Failure(
                    code: .usage, text: "the QR code says --cpo and --ca itself; leave them out")
            }
            return uri
        }
        guard let code = OneTimeCode(word) else {
            throw Failure(
                code: .usage,
                text:
                    "URI|CODE: neither a text like kerb:enrol?cpo=…&code=… (in quotes) nor a code "
                    + "like 7K3M-Q2ZD-9V4B-E0HT")
        }
        guard let cpo = invocation.value("--cpo").flatMap(EnrolmentURI.base) else {
            throw Failure(
                code: .usage,
                text:
                    "a typed code needs --cpo https://HOST:PORT, the operator's address for boards")
        }
        var uri = EnrolmentURI(cpo: cpo, station: nil, code: code, authority: nil)
        if let digits = invocation.value("--ca") {
            guard let authority = EnrolmentURI.fingerprint(digits) else {
                throw Failure(
                    code: .usage, text: "--ca: a SHA-256 fingerprint has 64 hexadecimal digits")
            }
            uri.authority = authority
        }
        return uri
    }

    // MARK: The operator

    private static let longestAnswerBytes = 65_536

    /// The authority whose fingerprint the code carries; nil where the system's are to be used.
    ///
    /// It is fetched from whoever answers, and believed only because of its fingerprint.
    private static func authority(_ ticket: EnrolmentURI) async throws -> String? {
        guard let wanted = ticket.authority else { return nil }
        var configuration = HTTPClient.Configuration(rules: .enrolment)
        configuration.trustsAnybody = true
        let answer = try await answer(
            HTTPCall(.get, ticket.cpo + "/enrol/ca", maxBodyBytes: longestAnswerBytes),
            configuration)
        guard answer.status == 200 else {
            throw Failure(
                code: .refused,
                text: "\(ticket.cpo) shows no authority (status \(answer.status)); is this the "
                    + "address of boards?")
        }
        do throws(CryptoError) {
            let certificate = try Certificate(pem: String(decoding: answer.body, as: UTF8.self))
            guard certificate.fingerprint == wanted else {
                throw CryptoError.badText("another fingerprint")
            }
            return try certificate.pem()
        } catch {
            throw Failure(
                code: .refused,
                text:
                    "\(ticket.cpo) is not who the code says: its authority has another fingerprint. "
                    + "Nothing was sent; is somebody in between?")
        }
    }

    private static func exchange(
        _ ticket: EnrolmentURI, _ password: String, _ authorityFile: String?
    ) async throws -> Identity {
        let body: JSONValue = ["code": .string(ticket.code.text), "password": .string(password)]
        let answer = try await answer(
            HTTPCall(
                .post, ticket.cpo + "/enrol",
                headers: [HTTPField("Content-Type", "application/json")], body: body.encoded(),
                deadlineSeconds: 20, maxBodyBytes: longestAnswerBytes),
            HTTPClient.Configuration(rules: .enrolment, caFile: authorityFile), tries: 3)
        // What is no JSON has none of the members.
        let value = (try? JSONValue(parsing: answer.body)) ?? .null
        guard answer.status == 200 else {
            let title = value["title"]?.string ?? "status \(answer.status)"
            let detail = value["detail"]?.string.map { ": \($0)" } ?? ""
            throw Failure(code: .refused, text: "the operator refuses: \(title)\(detail)")
        }
        guard let station = value["station"]?.string, let url = value["url"]?.string,
            url.hasPrefix("wss://"), (url + station).utf8.allSatisfy({ $0 > 0x20 && $0 != 0x7F })
        else { throw Failure(text: "\(ticket.cpo)/enrol answers what is no identity") }
        return Identity(station: station, url: url, hasAuthority: value["ca"]?.string != nil)
    }

    /// An answer that was lost may be asked for again: the same code and password get the same.
    private static func answer(
        _ call: HTTPCall, _ configuration: HTTPClient.Configuration, tries: Int = 1
    ) async throws -> HTTPAnswer {
        let client = HTTPClient(configuration)
        defer { client.stop() }
        for left in (0..<tries).reversed() {
            do throws(HTTPCallError) {
                return try await client.call(call)
            } catch {
                switch error {
                case .broken where left > 0, .deadlinePassed where left > 0: continue
                default: throw failure(error, call.url)
                }
            }
        }
        throw failure(.deadlinePassed, call.url)
    }

    private static func failure(_ error: HTTPCallError, _ url: String) -> Failure {
        let (code, what): (ExitCode, String) =
            switch error {
            case .nameNotResolved:
                (.unreachable, "the name is not known; check network and name server")
            case .notConnected:
                (.unreachable, "nobody answers there; check address, port, network and firewall")
            case .notTrusted(let why):
                (
                    .refused,
                    "its certificate is not trusted (\(why)); use the QR code, which carries its "
                        + "authority's fingerprint, and check the clock"
                )
            case .deadlinePassed: (.timedOut, "no answer in time; try again")
            case .badCall(let why), .forbidden(let why), .broken(let why): (.failed, why)
            case .bodyTooLarge: (.failed, "the answer is too long to be one")
            case .queueFull, .cancelled, .stopped: (.failed, "the call was given up")
            }
        return Failure(code: code, text: "\(url): \(what)")
    }
}

extension HostRules {
    /// A person named the host; a code never goes unencrypted.
    fileprivate static let enrolment = HostRules(
        allowsLoopback: true, allowsPrivate: true, allowsPlain: false)
}
