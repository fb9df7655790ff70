import CSMS
import Crypto
import Service
import Web

extension Settings {
    /// What boards that enrol are told; nil where none can.
    ///
    /// - Throws: `Program.Failure` where `ocpp.caFile` cannot be used.
    var enrolment: EnrolmentSettings? {
        get throws {
            guard let url = ocpp.stationsURL else { return nil }
            guard let file = ocpp.caFile else { return try EnrolmentSettings(stationsURL: url) }
            let pem = String(decoding: try FileSystem.read(file), as: UTF8.self)
            do throws(CryptoError) {
                return try EnrolmentSettings(stationsURL: url, authorityPEM: pem)
            } catch {
                throw Program.Failure(
                    code: .usage, text: "ocpp.caFile: \(file) holds no certificate in PEM")
            }
        }
    }

    /// As written, else the public host at the first listener with TLS that serves chargers.
    static func stationsURL(
        _ ocpp: ConfigSection, _ listeners: [Listener], publicURL: String
    ) -> String? {
        let written = ocpp.textOrNil(
            "stationsURL", about: "wss://HOST:PORT/ocpp as boards reach it, told when they enrol")
        guard let written else {
            let listener = listeners.first { listener in
                listener.tls != nil
                    && (listener.pathPrefixes.isEmpty || listener.pathPrefixes.contains("/ocpp/"))
            }
            guard let listener, let host = host(of: publicURL) else { return nil }
            return "wss://\(host):\(listener.port)/ocpp"
        }
        if !ocpp.isSchema, !written.hasPrefix("wss://") || !written.hasSuffix("/ocpp") {
            ocpp.problem(
                "stationsURL",
                "must be like wss://cpo.example.com:8443/ocpp; a board enrols over TLS")
            return nil
        }
        return written
    }

    /// Of `https://HOST[:PORT]/…`; an IPv6 address keeps its brackets.
    private static func host(of url: String) -> String? {
        let parts = url.split(separator: "://", maxSplits: 1)
        guard parts.count == 2 else { return nil }
        let authority = parts[1].prefix { $0 != "/" }
        if authority.hasPrefix("[") {
            return authority.firstIndex(of: "]").map { String(authority[...$0]) }
        }
        let host = authority.prefix { $0 != ":" }
        return host.isEmpty ? nil : String(host)
    }
}
