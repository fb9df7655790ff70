import Glibc
import Service
import Web

extension Settings {
    /// Two listeners at one place: the second could not be bound.
    static func checkPorts(_ listeners: [Listener], _ places: [ConfigSection]) {
        let all: Set = ["0.0.0.0", "::"]
        for (index, listener) in listeners.enumerated() where places.indices.contains(index) {
            let other = listeners[..<index].first { other in
                other.port == listener.port
                    && (other.address == listener.address || all.contains(other.address)
                        || all.contains(listener.address))
            }
            guard let other else { continue }
            places[index].problem(
                "port",
                "listener \(other.name) has port \(listener.port) at \(other.address) already; "
                    + "choose another, or let one listener serve both")
        }
    }

    /// Who signed the certificate of the listener that stations are sent to, where boards enrol there.
    func authority(of listener: Listener) -> String? {
        Self.meetsStations(listener, of: listeners, at: ocpp.stationsURL) ? ocpp.caFile : nil
    }

    /// The one with the URL's port; where none has it, as behind a router, all that serve stations.
    private static func meetsStations(
        _ listener: Listener, of all: [Listener], at url: String?
    ) -> Bool {
        guard let url, url.hasPrefix("wss://") else { return false }
        let serving = all.filter { one in
            one.tls != nil && (one.pathPrefixes.isEmpty || one.pathPrefixes.contains("/ocpp/"))
        }
        let place = url.dropFirst("wss://".count).prefix { $0 != "/" }
        let port = place.split(separator: ":").last.flatMap { Int($0) } ?? 443
        let meant = serving.filter { $0.port == port }
        return (meant.isEmpty ? serving : meant).contains(listener)
    }

    /// The files that the sections name.
    struct FilePlaces {
        let top: ConfigSection
        let listeners: [ConfigSection]
        /// What was read from them.
        let values: [Listener]

        func check(modes: Bool, stationsURL: String?) {
            for (index, listener) in listeners.enumerated() {
                guard let tls = listener.sectionOrNil("tls") else { continue }
                let files = FileChecks(tls)
                files.certificates("certificateFile", tls.pathOrNil("certificateFile"))
                files.secret("keyFile", tls.pathOrNil("keyFile"))
                if modes { files.privacy("keyFile", tls.pathOrNil("keyFile")) }
                files.certificates("clientCAFile", tls.pathOrNil("clientCAFile"))
                // A server that starts with an expired one can still be looked at, and mended.
                if modes, values.indices.contains(index) {
                    look(at: values[index], tls, stationsURL)
                }
            }
            let password = top.pathOrNil("databasePasswordFile")
            FileChecks(top).secret("databasePasswordFile", password)
            if modes { FileChecks(top).privacy("databasePasswordFile", password) }
            for name in ["ocpp", "outgoing"] {
                let section = top.section(name)
                FileChecks(section).certificates("caFile", section.pathOrNil("caFile"))
            }
            let alerts = top.section("alerts")
            for (name, secrets) in [
                ("mail", ["passwordFile"]), ("webhook", ["urlFile", "tokenFile"]),
            ] {
                guard let section = alerts.sectionOrNil(name) else { continue }
                let files = FileChecks(section)
                for key in secrets {
                    files.secret(key, section.pathOrNil(key))
                    if modes { files.privacy(key, section.pathOrNil(key)) }
                }
                files.certificates("caFile", section.pathOrNil("caFile"))
            }
            checkBeckn(modes: modes)
        }

        /// What may be read here; the rest is told by its own check, or is another user's.
        private func look(at listener: Listener, _ section: ConfigSection, _ stationsURL: String?) {
            let authority = top.section("ocpp").pathOrNil("caFile")
            guard let tls = listener.tls,
                [tls.certificateFile, tls.keyFile, authority].allSatisfy({ file in
                    file.map { access($0, R_OK) == 0 } ?? true
                })
            else { return }
            let look = CertificateLook(
                tls,
                authority: meetsStations(listener, of: values, at: stationsURL) ? authority : nil,
                now: SystemClock().now)
            if let problem = look.problem, !look.isUnreadable { section.problem(look.key, problem) }
        }

        private func checkBeckn(modes: Bool) {
            guard let beckn = top.sectionOrNil("beckn") else { return }
            FileChecks(beckn).secret("keyFile", beckn.pathOrNil("keyFile"))
            if modes { FileChecks(beckn).privacy("keyFile", beckn.pathOrNil("keyFile")) }
            if let path = beckn.pathOrNil("registry"), FileSystem.isAbsent(path) {
                beckn.problem("registry", "\(path): no such file")
            }
        }
    }
}
