import CPO
import Charging
import Crypto
import JSON
import Service
import Web

/// What a board that enrols is told, and what its QR code says of us.
package struct EnrolmentSettings: Hashable, Sendable {
    /// `wss://HOST:PORT/ocpp`, as boards reach us.
    package var stationsURL: String
    /// Who signed the certificate that boards see, PEM; nil where every system knows him.
    package var authorityPEM: String?
    /// SHA-256 of `authorityPEM`.
    package var authority: String?

    /// - Throws: when the PEM text holds no certificate.
    package init(stationsURL: String, authorityPEM: String? = nil) throws(CryptoError) {
        self.stationsURL = stationsURL
        guard let authorityPEM else { return }
        let certificate = try Certificate(pem: authorityPEM)
        self.authorityPEM = try certificate.pem()
        authority = certificate.fingerprint
    }

    /// The text of the QR code.
    package func uri(_ enrolment: Enrolment) -> EnrolmentURI {
        let base = stationsURL.dropFirst("wss".count).dropLast("/ocpp".count)
        return EnrolmentURI(
            cpo: "https\(base)", station: enrolment.station, code: enrolment.code,
            authority: authority)
    }
}

extension CentralSystem {
    func mountEnrolment(on router: inout Router) {
        router.add("POST", "/enrol") { await self.enrol($0) }
        // Whoever reads it checks it against the fingerprint that he has from elsewhere.
        router.add("GET", "/enrol/ca") { _ in
            guard let pem = self.settings.enrolment?.authorityPEM else {
                return .problem(404, "not found")
            }
            return .text(pem, type: "application/x-pem-file")
        }
    }

    /// Makes a code for a station and takes it in.
    package func makeEnrolment(_ station: String, minutes: Int) async throws -> Enrolment {
        let now = house.clock.now
        return try await house.write { [house] transaction in
            try Enrolment.make(
                station, minutes: minutes, in: house, at: now, transaction: transaction)
        }
    }

    private func enrol(_ request: HTTPRequest) async -> HTTPResponse {
        guard request.isTLS else {
            return .problem(
                403, "not encrypted",
                detail: "a password would travel in the open; enrol at the listener with TLS")
        }
        guard let settings = settings.enrolment else {
            return .problem(404, "not found", detail: "this operator enrols nobody")
        }
        let pair = WrongPasswords.Pair(address: request.remoteAddress, station: "/enrol")
        guard wrongPasswords.mayTry(pair) else {
            return .problem(
                429, "too many tries", detail: "wait a minute", headers: ["Retry-After": "60"])
        }
        // What is no JSON has none of the fields.
        let body = (try? JSONValue(parsing: request.body)) ?? .null
        guard let code = body["code"]?.string.flatMap({ OneTimeCode($0) }) else {
            wrongPasswords.count(pair)
            return .problem(422, "a value is wrong", detail: "is no one-time code", field: "code")
        }
        let answer = await redeem(code, password: body["password"]?.string ?? "", settings, request)
        if answer.status == 404 || answer.status == 410 { wrongPasswords.count(pair) }
        return answer
    }

    private func redeem(
        _ code: OneTimeCode, password: String, _ settings: EnrolmentSettings, _ request: HTTPRequest
    ) async -> HTTPResponse {
        do {
            let station = try await redeem(code, password: password)
            house.log.notice(
                "station enrolled", ["station": station, "address": request.remoteAddress])
            return .json(
                .members([
                    "station": .string(station), "url": .string(settings.stationsURL),
                    "ca": settings.authorityPEM.map(JSONValue.string),
                ]), headers: ["Cache-Control": "no-store"])
        } catch let refusal as Enrolment.Refusal {
            house.log.warning(
                "enrolment refused",
                ["reason": "\(refusal)", "address": request.remoteAddress])
            return Self.response(refusal)
        } catch {
            house.log.error("enrolment failed", ["error": "\(error)"])
            return .problem(500, "something went wrong", detail: "the server's log says what")
        }
    }

    /// - Returns: the station's id.
    /// - Throws: `Enrolment.Refusal`, or what the database says.
    func redeem(_ code: OneTimeCode, password: String) async throws -> String {
        let now = house.clock.now
        let (record, access) = try await house.write { [house] transaction in
            try Enrolment.redeem(
                code, password: password, in: house, at: now, transaction: transaction)
        }
        // Another process may have made the code and registered the station.
        directory.put(record)
        directory.put(access, for: record.id)
        await links[record.id]?.accessChanged(access)
        return record.id
    }

    private static func response(_ refusal: Enrolment.Refusal) -> HTTPResponse {
        switch refusal {
        case .unknown:
            .problem(404, "unknown code", detail: "check what was typed, or ask for a new code")
        case .expired: .problem(410, "the code has expired", detail: "ask for a new one")
        case .used:
            .problem(
                410, "the code was used already",
                detail: "by another board, or its answer was lost; ask for a new one")
        case .badPassword:
            .problem(
                422, "a value is wrong", detail: "has 16 to 40 printable characters without blanks",
                field: "password")
        case .removedStation:
            .problem(410, "the station is registered no more", detail: "ask the operator")
        }
    }
}
