import Charging
import HAL
import LinuxHAL
import Service
import Station
import Web

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
        /// Of a relay card; nil where the contactor hangs on lines.
        var contactorBus: String?
        var contactorUnit: Int
        var contactorCoil: Int?
        /// Of a pilot controller; nil where the board makes the pilot itself.
        var pilotBus: String?
        var pilotUnit: Int
        var pilotPort: Int?
        var sensors: Sensors
        /// Names that differ from the board's.
        var lines: [LineRole: String]
        var maximum: Amperes
        var tokenReader: String?
        var wiring: PhaseWiring
        var priority: Int
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
    var gpioChip: String?
    var buses: [Bus]
    var evses: [EVSE]
    var fuse: Amperes
    var phases: Int
    var supply: Supply
    var tokenReader: String?
    var tokenReaderBaud: Int
    var meterPollMilliseconds: Int
    var meterSampleIntervalSeconds: Int
    var meterValues: [String]
    var connectionTimeoutSeconds: Int
    var authorizeRemoteStart: Bool
    var allowUnknownTokensOffline: Bool
    var rules: ConnectorRules
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
}

extension EdgeSettings {
    private enum BusKind: String, CaseIterable, Sendable { case rtu, tcp }
    private static func tokenReaderBaud(_ file: ConfigSection) -> Int {
        let baud = file.int(
            "tokenReaderBaud", default: 9600, in: 1200...115_200,
            about: "speed of readers on serial ports, 8N1; USB and FIFOs have none")
        if !LineTokenReader.bauds.contains(baud) {
            let known = LineTokenReader.bauds.map { String($0) }.joined(separator: ", ")
            file.problem("tokenReaderBaud", "\(baud) is no speed of a serial port; one of \(known)")
        }
        return baud
    }

    private enum Parity: String, CaseIterable, Sendable { case none, even, odd }

    /// Reads the whole file; what is wrong is noted with line, key and mend.
    static func read(_ file: ConfigSection) -> EdgeSettings {
        let site = file.section("site", about: "the supply")
        let places = Places(file: file, site: site)
        let zone = zone(file)
        var settings = EdgeSettings(
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
            gpioChip: file.textOrNil(
                "gpioChip", about: "label of the GPIO chip, if not the board profile's"),
            buses: file.list("buses", atLeast: 1, atMost: 16, about: "Modbus lines") {
                places.buses.append($0)
                return bus($0)
            },
            evses: file.list("evses", atLeast: 1, atMost: 16, about: "outlets") {
                evse($0, places)
            },
            fuse: Amperes(
                Int64(site.int("fuseAmperes", in: 6...1000, about: "of the supply, per phase"))),
            phases: site.int("phases", default: 3, in: 1...3, about: "of the supply"),
            supply: supply(file, site, zone: zone),
            tokenReader: file.pathOrNil(
                "tokenReader", about: "device or FIFO that gives a token a line, for all outlets"),
            tokenReaderBaud: tokenReaderBaud(file),
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
            rules: rules(file, zone: zone),
            dataDirectory: file.path(
                "dataDirectory", default: "/var/lib/kerb-edge", about: "the board's journal"),
            journalLimitMegabytes: file.int(
                "journalLimitMegabytes", default: 64, in: 4...4096,
                about: "above three quarters of it meter values thin out, oldest first"),
            localPage: file.sectionOrNil(
                "localPage", about: "read-only page and metrics for technicians; left out: none"
            ).map(page),
            upkeep: UpkeepSettings.read(file))
        settings.rules.nominalMillivolts = Int64(settings.supply.nominalVolts) * 1000
        guard !file.isSchema else { return settings }
        check(&settings, places)
        return settings
    }

    /// Where the parts of a file were read, so that what is wrong is told at its own key.
    final class Places {
        struct EVSE {
            let own, meter, contactor, pilot, lines, limits: ConfigSection
        }

        let file: ConfigSection
        let site: ConfigSection
        var buses: [ConfigSection] = []
        var evses: [EVSE] = []

        init(file: ConfigSection, site: ConfigSection) {
            self.file = file
            self.site = site
        }
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
        checkAddress(csms, section)
        let hasPassword = csms.securityProfile == 1 || csms.securityProfile == 2
        let hasCertificate = csms.securityProfile == 3
        let files = FileChecks(section)
        files.secret(
            "passwordFile", csms.passwordFile, isRequired: hasPassword,
            mend: "run `kerb-edge enrol`, or write the operator's password there, mode 0600")
        files.certificates("certificateFile", csms.certificateFile, isRequired: hasCertificate)
        files.secret("keyFile", csms.keyFile, isRequired: hasCertificate)
        files.certificates("caFile", csms.caFile)
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
        } else if !HostName.isPrivate(page.address) {
            section.warn(
                "address",
                "\(page.address) is a public address, and the page has neither log-in nor TLS: "
                    + "everybody may read it; name the service network's address")
        }
        return page
    }

    private static func bus(_ section: ConfigSection) -> Bus {
        let name = section.text("name", about: "what evses call it")
        let kind: BusKind = section.choice("kind", about: "rtu (serial) or tcp")
        let isSerial = kind == .rtu
        // All keys are read whatever the kind, so that the schema has them.
        let device = section.pathOrNil("device", about: "rtu: the serial port's stable name")
        let baud = section.int("baud", default: 9600, in: 300...1_000_000, about: "rtu")
        checkBaud(baud, isSerial: isSerial, section)
        let parity: Parity = section.choice("parity", default: Parity.none, about: "rtu")
        let stopBits = section.int("stopBits", default: 1, in: 1...2, about: "rtu")
        let host = section.textOrNil("host", about: "tcp: name or address")
        let port = section.int("port", default: 502, in: 1...65_535, about: "tcp")
        if isSerial, device == nil {
            section.problem("device", "an rtu bus needs `device: /dev/serial/by-path/…`")
        }
        if !isSerial {
            let fault = host.map(HostName.fault(of:)) ?? "a tcp bus needs `host: …`"
            if let fault { section.problem("host", fault) }
        }
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

    private static func evse(_ section: ConfigSection, _ places: Places) -> EVSE {
        let meter = section.section("meter", about: "the meter that is billed from")
        let contactor = section.section("contactor", about: "what switches the power")
        let pilot = section.section("pilot", about: "the control pilot's controller")
        let limits = section.section("limits", about: "of the wiring")
        let lines = section.section("lines", about: "names that differ from the board's")
        places.evses.append(
            Places.EVSE(
                own: section, meter: meter, contactor: contactor, pilot: pilot, lines: lines,
                limits: limits))
        return EVSE(
            connector: section.int("connector", in: 1...16, about: "its number, from 1"),
            meterProfile: meter.text("profile", about: "hal/profiles/meters/NAME.yaml"),
            meterBus: meter.text("bus", about: "name of a bus"),
            meterUnit: meter.int("unit", default: 1, in: 1...247, about: "Modbus unit"),
            contactorBus: contactor.textOrNil("bus", about: "relay card: name of a bus"),
            contactorUnit: contactor.int("unit", default: 1, in: 1...247, about: "Modbus unit"),
            contactorCoil: contactor.intOrNil(
                "coil", in: 0...65_535, about: "relay card: coil, from 0"),
            pilotBus: pilot.textOrNil("bus", about: "pilot controller: name of a bus"),
            // 255 is the unit of controllers that are their own TCP gateway.
            pilotUnit: deviceUnit(pilot),
            pilotPort: pilot.intOrNil(
                "port", in: 1...48, about: "which connector of a controller that has several"),
            sensors: sensors(section),
            lines: self.lines(lines),
            maximum: Amperes(
                Int64(
                    limits.int(
                        "maximumAmperes", default: 32, in: 6...80, about: "per phase"))),
            tokenReader: section.pathOrNil(
                "tokenReader", about: "device or FIFO that gives a token a line, for this outlet"),
            wiring: section.choice(
                "wiring", default: PhaseWiring.rst,
                about: "which supply phases its L1, L2, L3 hang on: RST, STR, TRS…, or L1, L2, L3"),
            priority: section.int(
                "priority", default: 0, in: 0...9, about: "a higher one is served before"))
    }
}
