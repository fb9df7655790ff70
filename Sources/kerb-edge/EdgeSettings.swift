import Charging
import HAL
import LinuxHAL
import Service
import Station

/// Everything `edge.yaml` says. `Config/edge.yaml` carries each key with a comment.
struct EdgeSettings: Sendable {
    struct CSMS: Sendable {
        var url: String
        var securityProfile: Int
        var passwordFile: String?
        var caFile: String?
        var certificateFile: String?
        var keyFile: String?
        var additionalRootCheck: Bool
    }

    struct Bus: Sendable {
        var name: String
        var address: BusAddress
    }

    struct EVSE: Sendable {
        var connector: ConnectorNumber
        var meterProfile: String
        var meterBus: String
        var meterUnit: Int
        var contactorBus: String
        var contactorUnit: Int
        var contactorCoil: Int
        var pilotBus: String
        var pilotUnit: Int
        var maximum: Amperes
        var tokenReader: String?
    }

    /// The page for technicians.
    struct Page: Sendable {
        var address: String
        var port: Int
    }

    var stationID: String
    var vendor: String
    var model: String
    var serial: String?
    var csms: CSMS
    var board: String
    var profileDirectory: String?
    var acceptNoDeadman: Bool
    var buses: [Bus]
    var evses: [EVSE]
    var fuse: Amperes
    var phases: Int
    var tokenReader: String?
    var meterPollMilliseconds: Int
    var meterSampleIntervalSeconds: Int
    var meterValues: [String]
    var connectionTimeoutSeconds: Int
    var authorizeRemoteStart: Bool
    var allowUnknownTokensOffline: Bool
    var dataDirectory: String
    var journalLimitMegabytes: Int
    /// nil: no page.
    var localPage: Page?
    var upkeep: UpkeepSettings

    var blackBoxFolder: String { dataDirectory + "/blackbox" }
    var credentialsFolder: String { dataDirectory + "/credentials" }
    var socketPath: String { dataDirectory + "/status.sock" }
    var journalPath: String { dataDirectory + "/journal.db" }

    var journalLimits: JournalLimits {
        var limits = JournalLimits()
        limits.bytes = Int64(journalLimitMegabytes) << 20
        return limits
    }

    /// What each connector may draw so that all together never exceed the site's fuse.
    var share: Amperes {
        let sum = evses.reduce(Int64(0)) { $0 + $1.maximum.milliamperes }
        guard sum > fuse.milliamperes, !evses.isEmpty else { return fuse }
        return Amperes(milliamperes: fuse.milliamperes / Int64(evses.count))
    }
}

extension EdgeSettings {
    private enum BusKind: String, CaseIterable, Sendable { case rtu, tcp }
    private enum Parity: String, CaseIterable, Sendable { case none, even, odd }

    /// Reads the whole file; what is wrong is noted with line, key and mend.
    static func read(_ file: ConfigSection) -> EdgeSettings {
        let settings = EdgeSettings(
            stationID: file.text(
                "stationID", about: "the identity the operator gave; ends the URL, names the log-in"
            ),
            vendor: file.text("vendor", default: "Kerb", about: "sent in BootNotification"),
            model: file.text("model", default: "kerb-edge", about: "sent in BootNotification"),
            serial: file.textOrNil("serial", about: "serial number of the cabinet"),
            csms: csms(file.section("csms", about: "the operator's central system")),
            board: file.text("board", about: "board profile: hal/profiles/boards/NAME.yaml"),
            profileDirectory: file.pathOrNil(
                "profileDirectory", about: "where profiles lie, if not beside the program"),
            acceptNoDeadman: file.bool(
                "acceptNoDeadman", default: false,
                about: "accept a board on which nothing opens the contactor when the agent dies"),
            buses: file.list("buses", atLeast: 1, atMost: 16, about: "Modbus lines", bus),
            evses: file.list("evses", atLeast: 1, atMost: 16, about: "outlets", evse),
            fuse: .zero, phases: 0,
            tokenReader: file.pathOrNil(
                "tokenReader", about: "device or FIFO that gives a token a line, for all outlets"),
            meterPollMilliseconds: file.int(
                "meterPollMilliseconds", default: 1000, in: 200...2000,
                about: "how often meters are read"),
            meterSampleIntervalSeconds: file.int(
                "meterSampleIntervalSeconds", default: 60, in: 0...86_400,
                about: "between two MeterValues of a charge, until the operator says otherwise"),
            meterValues: file.texts(
                "meterValues",
                default: [
                    "Energy.Active.Import.Register", "Power.Active.Import", "Current.Import",
                    "Voltage",
                ], about: "measurands of a MeterValues, until the operator says otherwise"),
            connectionTimeoutSeconds: file.int(
                "connectionTimeoutSeconds", default: 60, in: 1...86_400,
                about: "how long an authorisation waits for the plug"),
            authorizeRemoteStart: file.bool(
                "authorizeRemoteStart", default: false,
                about: "ask the operator about the token of a remote start"),
            allowUnknownTokensOffline: file.bool(
                "allowUnknownTokensOffline", default: false,
                about: "let tokens nobody knows charge while the operator cannot be asked"),
            dataDirectory: file.path(
                "dataDirectory", default: "/var/lib/kerb-edge", about: "the board's journal"),
            journalLimitMegabytes: file.int(
                "journalLimitMegabytes", default: 64, in: 4...4096,
                about: "above three quarters of it meter values thin out, oldest first"),
            localPage: file.sectionOrNil(
                "localPage", about: "read-only page and metrics for technicians; left out: none"
            ).map(page),
            upkeep: UpkeepSettings.read(file))
        return check(settings, site: file.section("site", about: "the supply"), file)
    }

    private static func csms(_ section: ConfigSection) -> CSMS {
        let csms = CSMS(
            url: section.text("url", about: "ws:// or wss://, without the identity at its end"),
            securityProfile: section.int(
                "securityProfile", default: 2, in: 0...3,
                about: "0 none, 1 password, 2 TLS and password, 3 TLS and client certificate"),
            passwordFile: section.pathOrNil("passwordFile", about: "the station's password"),
            caFile: section.pathOrNil(
                "caFile", about: "authorities of the server's certificate; else the system's"),
            certificateFile: section.pathOrNil("certificateFile", about: "our certificate, PEM"),
            keyFile: section.pathOrNil("keyFile", about: "its key, PEM"),
            additionalRootCheck: section.bool(
                "additionalRootCheck", default: false,
                about: "take a new authority from the operator only if a known one signed it"))
        guard !section.isSchema else { return csms }
        let isTLS = csms.url.hasPrefix("wss://")
        if !isTLS, !csms.url.hasPrefix("ws://") {
            section.problem("url", "must begin with wss:// (or ws:// inside a private network)")
        } else if csms.securityProfile >= 2, !isTLS {
            section.problem(
                "url", "securityProfile \(csms.securityProfile) needs a wss:// address")
        } else if csms.securityProfile < 2, isTLS {
            section.problem("securityProfile", "a wss:// address goes with securityProfile 2 or 3")
        }
        if csms.securityProfile == 0, !isLoopback(csms.url) {
            section.problem(
                "securityProfile", "0 is for loopback only; give a password and 1, or TLS and 2")
        }
        if csms.securityProfile == 1 || csms.securityProfile == 2 {
            checkFile(section, "passwordFile", csms.passwordFile, isRequired: true)
        }
        if csms.securityProfile == 3 {
            checkFile(section, "certificateFile", csms.certificateFile, isRequired: true)
            checkFile(section, "keyFile", csms.keyFile, isRequired: true)
        }
        checkFile(section, "caFile", csms.caFile, isRequired: false)
        return csms
    }

    private static func page(_ section: ConfigSection) -> Page {
        let page = Page(
            address: section.text(
                "address", default: "127.0.0.1",
                about: "numeric, of loopback or the service network"),
            port: section.int("port", default: 8071, in: 0...65_535, about: "plain HTTP"))
        if !LocalPage.isNumeric(page.address) {
            section.problem("address", "must be a numeric address like 192.168.4.1")
        } else if ["0.0.0.0", "::"].contains(page.address) {
            section.problem(
                "address",
                "would open the page to every network; name the service network's address"
            )
        }
        return page
    }

    private static func checkFile(
        _ section: ConfigSection, _ key: String, _ path: String?, isRequired: Bool
    ) {
        guard let path else {
            if isRequired { section.problem(key, "`\(key)` is missing; add the path of a file") }
            return
        }
        if !FileSystem.exists(path) { section.problem(key, "\(path): no such file") }
    }

    private static func isLoopback(_ url: String) -> Bool {
        let rest = url.drop { $0 != "/" }.drop { $0 == "/" }
        return ["localhost", "127.0.0.1", "[::1]"].contains { host in
            rest.hasPrefix(host) && [":", "/", nil].contains(rest.dropFirst(host.count).first)
        }
    }

    private static func bus(_ section: ConfigSection) -> Bus {
        let name = section.text("name", about: "what evses call it")
        let kind: BusKind = section.choice("kind", about: "rtu (serial) or tcp")
        let isSerial = kind == .rtu
        // All keys are read whatever the kind, so that the schema has them.
        let device = section.pathOrNil("device", about: "rtu: the serial port's stable name")
        let baud = section.int("baud", default: 9600, in: 300...1_000_000, about: "rtu")
        let parity: Parity = section.choice("parity", default: Parity.none, about: "rtu")
        let stopBits = section.int("stopBits", default: 1, in: 1...2, about: "rtu")
        let host = section.textOrNil("host", about: "tcp: name or address")
        let port = section.int("port", default: 502, in: 1...65_535, about: "tcp")
        if isSerial, device == nil {
            section.problem("device", "an rtu bus needs `device: /dev/serial/by-path/…`")
        }
        if !isSerial, host == nil { section.problem("host", "a tcp bus needs `host: …`") }
        let line: MeterProfile.Parity =
            switch parity {
            case .none: .none
            case .even: .even
            case .odd: .odd
            }
        return Bus(
            name: name,
            address: isSerial
                ? .serial(path: device ?? "", baud: baud, parity: line, stopBits: stopBits)
                : .tcp(host: host ?? "", port: port))
    }

    private static func evse(_ section: ConfigSection) -> EVSE {
        let meter = section.section("meter", about: "the meter that is billed from")
        let contactor = section.section("contactor", about: "what switches the power")
        let pilot = section.section("pilot", about: "the control pilot's controller")
        let limits = section.section("limits", about: "of the wiring")
        return EVSE(
            connector: section.int("connector", in: 1...16, about: "its number, from 1"),
            meterProfile: meter.text("profile", about: "hal/profiles/meters/NAME.yaml"),
            meterBus: meter.text("bus", about: "name of a bus"),
            meterUnit: meter.int("unit", default: 1, in: 1...247, about: "Modbus unit"),
            contactorBus: contactor.text("bus", about: "name of a bus"),
            contactorUnit: contactor.int("unit", default: 1, in: 1...247, about: "Modbus unit"),
            contactorCoil: contactor.int("coil", in: 0...65_535, about: "coil, from 0"),
            pilotBus: pilot.text("bus", about: "name of a bus"),
            pilotUnit: pilot.int("unit", default: 1, in: 1...247, about: "Modbus unit"),
            maximum: Amperes(
                Int64(
                    limits.int(
                        "maximumAmperes", default: 32, in: 6...80, about: "per phase"))),
            tokenReader: section.pathOrNil(
                "tokenReader", about: "device or FIFO that gives a token a line, for this outlet"))
    }

    private static func check(
        _ settings: EdgeSettings, site: ConfigSection, _ file: ConfigSection
    ) -> EdgeSettings {
        var settings = settings
        settings.fuse = Amperes(
            Int64(site.int("fuseAmperes", in: 6...1000, about: "of the supply, per phase")))
        settings.phases = site.int("phases", default: 3, in: 1...3, about: "of the supply")
        guard !file.isSchema else { return settings }
        if settings.stationID.isEmpty || settings.stationID.count > 48
            || settings.stationID.contains(where: { $0 == ":" || $0 == "/" || $0.isWhitespace })
        {
            file.problem(
                "stationID", "1 to 48 characters without blank, colon and slash are an identity")
        }
        let names = settings.buses.map(\.name)
        if Set(names).count != names.count { file.problem("buses", "two buses have one name") }
        let numbers = settings.evses.map(\.connector)
        if Set(numbers).count != numbers.count || Set(numbers) != Set(1...max(1, numbers.count)) {
            file.problem("evses", "connectors must be numbered 1, 2, … without gap")
        }
        for evse in settings.evses {
            for bus in [evse.meterBus, evse.contactorBus, evse.pilotBus] where !names.contains(bus)
            {
                file.problem(
                    "evses",
                    "connector \(evse.connector) names bus \(bus), which `buses` does not have")
            }
            if settings.evses.contains(where: { $0.contactorBus == evse.meterBus }) {
                file.problem(
                    "evses",
                    "connector \(evse.connector)'s meter: a contactor's bus carries no meters; a slow meter would hold up an opening"
                )
            }
        }
        func refuseShared(_ part: String, _ place: (EVSE) -> [String]) {
            for (index, one) in settings.evses.enumerated() {
                for other in settings.evses[..<index] where place(one) == place(other) {
                    file.problem(
                        "evses",
                        "connectors \(other.connector) and \(one.connector) have one \(part)")
                }
            }
        }
        // One would hold closed what the other opens, or bill what the other draws.
        refuseShared("contactor") {
            [$0.contactorBus, String($0.contactorUnit), String($0.contactorCoil)]
        }
        refuseShared("pilot") { [$0.pilotBus, String($0.pilotUnit)] }
        refuseShared("meter") { [$0.meterBus, String($0.meterUnit)] }
        if settings.share < Amperes(6) {
            site.problem("fuseAmperes", "leaves less than 6 A to each outlet; none could charge")
        }
        for name in settings.meterValues where Measurand(rawValue: name) == nil {
            file.problem("meterValues", "no measurand is called \(name)")
        }
        return settings
    }
}
