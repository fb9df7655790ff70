import Charging
import Crypto
import HTTPClient
import JSON

/// A partner's good answer.
struct PeerAnswer: Sendable {
    var status: Int
    var data: JSONValue?
    /// Where a created object can be read back.
    var location: String?

    /// The object in `data`; some partners wrap single objects in a list of one.
    var object: JSONValue? {
        if case .array(let elements) = data, elements.count == 1 { return elements[0] }
        return data
    }
}

/// Why a call to a partner did not do what it should.
enum PeerFailure: Error, Hashable, Sendable, CustomStringConvertible {
    /// No answer, or 5xx, 429 and OCPI 3xxx: the same call may work later. `isOpen` where the partner
    /// may have acted on it all the same.
    case later(String, isOpen: Bool)
    /// It answered that it does not take this: HTTP status and, if there was an envelope, its code.
    case refused(http: Int, code: Int?, message: String)

    var description: String {
        switch self {
        case .later(let reason, _): reason
        case .refused(let http, let code, let message):
            "HTTP \(http)\(code.map { ", status \($0)" } ?? ""): \(message)"
        }
    }
}

/// Calls partners: headers, envelope, and what they do differently, in one place.
struct PeerClient: Sendable {
    struct Credentials: Sendable {
        var token: String
        var isRaw: Bool
    }

    let client: HTTPClient
    let deadlineSeconds: Int

    /// Answers of a partner may not be longer.
    static let maximumBodyBytes = 4 << 20

    /// - Parameter route: the parties the call is from and to, on functional modules. OCPI 2.2.1 §4.3.
    func call(
        _ method: HTTPCall.Method, _ url: String, _ credentials: Credentials,
        route: (from: PartyID, to: PartyID?)? = nil, body: JSONValue? = nil
    ) async throws(PeerFailure) -> (answer: PeerAnswer, http: HTTPAnswer) {
        var headers = [
            HTTPField("Authorization", PeerToken.header(credentials.token, raw: credentials.isRaw)),
            HTTPField("X-Request-ID", UUID4.make()), HTTPField("X-Correlation-ID", UUID4.make()),
            HTTPField("Accept", "application/json"),
        ]
        if let route {
            headers.append(HTTPField("OCPI-from-country-code", route.from.country))
            headers.append(HTTPField("OCPI-from-party-id", route.from.party))
            if let to = route.to {
                headers.append(HTTPField("OCPI-to-country-code", to.country))
                headers.append(HTTPField("OCPI-to-party-id", to.party))
            }
        }
        if body != nil { headers.append(HTTPField("Content-Type", "application/json")) }
        var call = HTTPCall(
            method, url, headers: headers, body: body?.encoded() ?? [],
            deadlineSeconds: deadlineSeconds, maxBodyBytes: Self.maximumBodyBytes)
        var answer = try await send(call)
        if answer.status == 307 || answer.status == 308,
            let target = answer.header("Location"), let next = Self.redirect(from: url, to: target)
        {
            // Once, on the same host only: the token goes along.
            call.url = next
            answer = try await send(call)
        }
        return (try Self.read(answer), answer)
    }

    private func send(_ call: HTTPCall) async throws(PeerFailure) -> HTTPAnswer {
        do throws(HTTPCallError) {
            return try await client.call(call)
        } catch {
            switch error {
            case .badCall(let reason): throw .refused(http: 0, code: nil, message: reason)
            case .forbidden(let reason):
                throw .refused(http: 0, code: nil, message: "the address is not allowed: \(reason)")
            case .deadlinePassed, .broken, .bodyTooLarge, .cancelled:
                throw .later("\(error)", isOpen: true)
            case .nameNotResolved, .notConnected, .notTrusted, .queueFull, .stopped:
                throw .later("\(error)", isOpen: false)
            }
        }
    }

    private static func read(_ answer: HTTPAnswer) throws(PeerFailure) -> PeerAnswer {
        // Not JSON: then only the HTTP status speaks.
        let envelope = try? JSONValue(parsing: answer.body)
        let code = envelope?["status_code"]?.int
        let message =
            envelope?["status_message"]?.string
            ?? String(decoding: answer.body.prefix(200), as: UTF8.self)
        if answer.status == 429 || answer.status >= 500 || (code.map { $0 / 1000 == 3 } ?? false) {
            throw .later("HTTP \(answer.status) \(message)", isOpen: answer.status >= 500)
        }
        guard (200..<300).contains(answer.status), code.map({ $0 / 1000 == 1 }) ?? true else {
            throw .refused(http: answer.status, code: code, message: message)
        }
        return PeerAnswer(
            status: answer.status, data: envelope?["data"], location: answer.header("Location"))
    }

    private static func redirect(from url: String, to target: String) -> String? {
        guard let old = PeerURL(url), let new = PeerURL(target), old.host == new.host,
            old.isTLS == new.isTLS
        else { return nil }
        return target
    }
}
