import CSMS
import Service
import Web

extension Settings {
    /// What the stations' door is told.
    struct OCPP: Sendable {
        var lowestSecurityProfile: Int
        var firstPasswords = FirstPasswords.inbox
        /// nil: any.
        var certificateOrganisation: String?
        var pinsTLS = true
        var pingSeconds: Int
        /// `wss://HOST:PORT/ocpp`, told to boards that enrol; nil: none can.
        var stationsURL: String?
        /// Who signed the certificate of the stations' listener, PEM.
        var caFile: String?
        /// New connections a second and thread; 0: no bound.
        var acceptsPerSecond = 2000
        /// 0: no bound.
        var messagesPerSecond = 20
        var messageBurst = 200
        /// 0: no bound.
        var connectsAnHour = 60
        /// Of one address; 0: no bound.
        var pendingPerAddress = 100
        var refusalsPerAddress = 50
        var wrongPasswordsPerAddress = 100
        var messageLogExchanges = 100_000
        /// 0: only their number counts.
        var messageLogDays = 30
        var keepsLocalLists = false
        /// What models do otherwise than OCPP has it.
        var correctionsFile: String?
    }

    /// The bounds as the door takes them.
    var centralSystem: CentralSystemSettings {
        var door = CentralSystemSettings()
        door.lowestSecurityProfile = ocpp.lowestSecurityProfile
        door.firstPasswords = ocpp.firstPasswords
        door.certificateOrganisation = ocpp.certificateOrganisation
        door.pinsTLS = ocpp.pinsTLS
        door.pendingStationsOfAddress = ocpp.pendingPerAddress
        door.refusalsOfAddress = ocpp.refusalsPerAddress
        door.wrongPasswordsOfAddress = ocpp.wrongPasswordsPerAddress
        door.messagesPerSecond = ocpp.messagesPerSecond
        door.messageBurst = ocpp.messageBurst
        door.connectsAnHour = ocpp.connectsAnHour
        door.messagesKept = ocpp.messageLogExchanges
        door.messageDays = ocpp.messageLogDays
        door.keepsLocalLists = ocpp.keepsLocalLists
        return door
    }
}

extension Settings.OCPP {
    init(_ section: ConfigSection, stationsURL: String?) {
        lowestSecurityProfile = section.int(
            "lowestSecurityProfile", default: 1, in: 0...3,
            about: "0 none, 1 password, 2 password over TLS, 3 client certificate")
        firstPasswords = section.choice(
            "firstPasswords", default: .inbox,
            about: "what a first password of a registered charger means")
        certificateOrganisation = section.textOrNil(
            "certificateOrganisation", about: "O that chargers' certificates must have")
        if certificateOrganisation?.isEmpty ?? false {
            section.problem(
                "certificateOrganisation", "must not be empty; leave the key out for any")
        }
        pinsTLS = section.bool(
            "pinTLS", default: true, about: "who came over TLS comes in the open no more")
        pingSeconds = section.int(
            "pingSeconds", default: 60, in: 5...3600, about: "a silent charger is pinged after this"
        )
        self.stationsURL = stationsURL
        caFile = section.pathOrNil(
            "caFile", about: "PEM of who signed the stations' listener, for boards")
        acceptsPerSecond = section.int(
            "acceptsPerSecond", default: acceptsPerSecond, in: 0...100_000,
            about: "new connections a second and thread; 0: no bound")
        messagesPerSecond = section.int(
            "messagesPerSecond", default: messagesPerSecond, in: 0...10_000,
            about: "of one charger, over the burst; then it waits. 0: no bound")
        messageBurst = section.int(
            "messageBurst", default: messageBurst, in: 1...100_000,
            about: "messages of one charger that are read at once")
        connectsAnHour = section.int(
            "connectsAnHour", default: connectsAnHour, in: 0...100_000,
            about: "of one charger; then it is held off for an hour. 0: no bound")
        pendingPerAddress = section.int(
            "pendingPerAddress", default: pendingPerAddress, in: 0...100_000,
            about: "chargers of one address that wait in the inbox. 0: no bound")
        refusalsPerAddress = section.int(
            "refusalsPerAddress", default: refusalsPerAddress, in: 0...100_000,
            about: "refused chargers of one address that are listed. 0: no bound")
        wrongPasswordsPerAddress = section.int(
            "wrongPasswordsPerAddress", default: wrongPasswordsPerAddress, in: 0...100_000,
            about: "a minute from one address; further ones are not logged. 0: no bound")
        messageLogExchanges = section.int(
            "messageLogExchanges", default: messageLogExchanges, in: 0...100_000_000,
            about: "exchanges kept in the message log, over all chargers")
        messageLogDays = section.int(
            "messageLogDays", default: messageLogDays, in: 0...3650,
            about: "days they are kept; 0: only their number counts")
        keepsLocalLists = section.bool(
            "localLists", default: false,
            about: "chargers' local lists are kept in step with the tokens")
        correctionsFile = section.pathOrNil(
            "corrections", about: "YAML of what models of chargers tell otherwise than OCPP has it")
    }
}
