import Charging
import JSON
import OCPP

/// A station asks for a certificate; it comes later with `CertificateSigned`. Security white paper §6.
enum SignCertificate {
    static let action = "SignCertificate"
    static let requestCharacters = 5500
    private static let answer = StatusAnswer(words: ["Accepted", "Rejected"])

    static func write(_ csr: String, _ writer: inout JSONWriter) {
        writer.object { w in w.member("csr", csr) }
    }

    static func event(in payload: RawSpan) throws(CallError) -> Decoded<StationEvent> {
        var csr: String?
        let fields = try FieldReader.read(payload) { r, key, f throws(JSONError) in
            if r.matches(key, "csr") {
                csr = try f.text(&r, "csr", maximum: requestCharacters)
            } else {
                try f.unknown(&r)
            }
        }
        let request = try fields.required(csr, "csr")
        try fields.refuseCut()
        return Decoded(.maintenance(.certificateRequested(csr: request)), fields.deviations)
    }

    static func write(isAccepted: Bool, _ writer: inout JSONWriter) {
        answer.write(isAccepted ? "Accepted" : "Rejected", &writer)
    }

    static func reply(in payload: RawSpan) throws(CallError) -> Decoded<StationReply> {
        let read = try answer.read(payload)
        guard case .status(let word) = read.value else {
            throw CallError(.internalError, "a status is read as a status")
        }
        return Decoded(.certificateRequested(isAccepted: word == "Accepted"), read.deviations)
    }
}

/// The operator brings the certificate that was asked for. Security white paper §6.
enum CertificateSigned {
    static let action = "CertificateSigned"
    static let answer = StatusAnswer(words: ["Accepted", "Rejected"])
    static let chainCharacters = 10_000

    static func write(_ chain: String, _ writer: inout JSONWriter) {
        writer.object { w in w.member("certificateChain", chain) }
    }

    static func command(in payload: RawSpan) throws(CallError) -> Decoded<StationCommand> {
        var chain: String?
        let fields = try FieldReader.read(payload) { r, key, f throws(JSONError) in
            if r.matches(key, "certificateChain") {
                chain = try f.text(&r, "certificateChain", maximum: chainCharacters)
            } else {
                try f.unknown(&r)
            }
        }
        let pem = try fields.required(chain, "certificateChain")
        try fields.refuseCut()
        return Decoded(.maintenance(.certificateSigned(chain: pem)), fields.deviations)
    }
}
