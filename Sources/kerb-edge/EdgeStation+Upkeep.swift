import Charging
import Service
import Station
import Web

extension EdgeStation {
    /// Puts together what looks after firmware, logs, certificates and credentials.
    static func upkeep(
        _ settings: EdgeSettings, _ keys: StationSettings, _ journal: BoardJournal,
        password: [UInt8]?, bundle: @escaping StationUpkeep.Bundling, clock: BoardClock, log: Log
    ) async throws -> StationUpkeep {
        let csms = settings.csms
        let credentials = try LinkCredentials(
            base: LinkCredentials.Base(
                url: linkURL(settings), profile: csms.securityProfile, password: password,
                caFile: csms.caFile, certificateFile: csms.certificateFile, keyFile: csms.keyFile),
            folder: settings.credentialsFolder)
        var fixed: [RootKind: String] = [:]
        fixed[.centralSystem] = csms.caFile
        fixed[.manufacturer] = settings.upkeep.rootFile
        let roots = try RootStore(
            folder: settings.dataDirectory + "/certificates", fixed: fixed,
            needsSignatureOfOld: csms.additionalRootCheck)
        var configuration = StationUpkeep.Configuration(
            stationID: settings.stationID, commonName: settings.serial ?? settings.stationID,
            version: Program.version, folder: settings.dataDirectory + "/firmware",
            carriage: CurlCarriage(settings.upkeep))
        configuration.installCommand = settings.upkeep.installCommand
        configuration.rollbackCommand = settings.upkeep.rollbackCommand
        configuration.commandSeconds = settings.upkeep.commandSeconds
        configuration.handover = settings.handover
        configuration.acceptsUnsigned = settings.upkeep.acceptUnsigned
        configuration.firmwareBytes = Int64(settings.upkeep.maximumMegabytes) << 20
        configuration.firmware.healthMilliseconds = Int64(settings.upkeep.healthMinutes) * 60_000
        configuration.bundle = bundle
        configuration.accepted = csms.passwordFile.map {
            (settings.dataDirectory + "/" + EnrolmentPlace.acceptedName, $0)
        }
        keys.hold(String(credentials.current.profile), for: "SecurityProfile")
        return try await StationUpkeep(
            configuration, journal: journal, settings: keys, credentials: credentials, roots: roots,
            clock: clock, log: log)
    }

    /// The same archive that `doctor --bundle` writes, made by the agent itself.
    static func bundling(
        _ settings: EdgeSettings, _ values: [ConfigSetting], _ keys: StationSettings,
        _ recentLog: @escaping @Sendable () -> [String]
    ) -> StationUpkeep.Bundling {
        { view in
            try SupportBundle(
                settings: settings, values: values, findings: [], status: view?.json,
                keys: keysInForce(keys), log: recentLog()
            ).archive()
        }
    }

    /// One try to reach the operator, with the credentials that are in force or on trial.
    static func connect(
        _ subprotocols: [String], _ settings: EdgeSettings, _ upkeep: StationUpkeep
    ) async throws -> any StationLink {
        let connection = upkeep.credentials.next()
        var link = WebSocketClient.Configuration(url: connection.url, subprotocols: subprotocols)
        link.credentials = connection.password.map {
            BasicCredentials(user: Array(settings.stationID.utf8), password: $0)
        }
        link.caFile = try upkeep.roots.bundle()
        link.certificateFile = connection.certificateFile
        link.keyFile = connection.keyFile
        do throws(WebSocketClientError) {
            let made = try await WebSocketLink.connect(link)
            await upkeep.linkMade(with: connection.identity)
            return made
        } catch {
            await upkeep.linkFailed(error)
            throw error
        }
    }
}
