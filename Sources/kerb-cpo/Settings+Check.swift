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

    /// The files that the sections name.
    struct FilePlaces {
        let top: ConfigSection
        let listeners: [ConfigSection]

        func check(modes: Bool) {
            for listener in listeners {
                guard let tls = listener.sectionOrNil("tls") else { continue }
                let files = FileChecks(tls)
                files.certificates("certificateFile", tls.pathOrNil("certificateFile"))
                files.secret("keyFile", tls.pathOrNil("keyFile"))
                if modes { files.privacy("keyFile", tls.pathOrNil("keyFile")) }
                files.certificates("clientCAFile", tls.pathOrNil("clientCAFile"))
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
            guard let beckn = top.sectionOrNil("beckn") else { return }
            FileChecks(beckn).secret("keyFile", beckn.pathOrNil("keyFile"))
            if modes { FileChecks(beckn).privacy("keyFile", beckn.pathOrNil("keyFile")) }
            if let path = beckn.pathOrNil("registry"), FileSystem.isAbsent(path) {
                beckn.problem("registry", "\(path): no such file")
            }
        }
    }
}
