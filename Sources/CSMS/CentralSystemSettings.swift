/// What the operator decides about stations, and every bound of the door.
package struct CentralSystemSettings: Sendable {
    /// 0 nothing, 1 password, 2 password over TLS, 3 client certificate: weaker ones are refused.
    /// 0 is for closed networks and demonstrations only.
    package var lowestSecurityProfile = 1
    /// What a first password of a registered station means that has none.
    package var firstPasswords = FirstPasswords.inbox
    /// O of the subject that stations' certificates must have; nil: any of who signed them.
    package var certificateOrganisation: String?
    /// A station that came over TLS comes in the open no more; false: it may, as behind a proxy that ends
    /// TLS for some.
    package var pinsTLS = true
    /// Spread of the heartbeat interval in percent, so that a fleet does not beat as one.
    package var heartbeatSpreadPercent = 10
    /// What a station in the inbox is told to wait before it asks again.
    package var pendingIntervalSeconds = 60
    /// How long a station may be silent about its connectors after its boot before it is asked.
    package var statusSilenceMilliseconds: Int64 = 10_000
    /// Between two looks at what changed in the registry.
    package var registryPauseMilliseconds: Int64 = 250
    /// Stations in the inbox; further unknown ones are turned away.
    package var pendingStations = 1000
    /// The same of one address, or of one network of IPv6, registered ones that wait included: a stranger
    /// leaves room for others. 0: no bound.
    package var pendingStationsOfAddress = 100
    /// Messages of one station that wait for their turn; then its socket is not read.
    package var waitingMessages = 64
    /// Messages in a row that nobody can read; then the socket is closed.
    package var unreadableInARow = 10
    /// Heartbeats are counted but not written to the message log.
    package var logsHeartbeats = false
    /// Exchanges kept in the message log, over all stations.
    package var messagesKept = 100_000
    /// Days after which an exchange is deleted, since it names drivers; 0: only their number counts.
    package var messageDays = 30
    /// Bytes of one message kept in the log; the rest is cut.
    package var messageBytesKept = 16_384
    /// Exchanges that wait to be written; more are dropped and counted.
    package var messagesWaiting = 20_000
    /// How often the message log is written.
    package var messageLogMilliseconds: Int64 = 500
    /// Refused handshakes remembered: station, reason and address.
    package var refusalsKept = 500
    /// The same of one address, or of one network of IPv6; then its oldest goes. 0: no bound.
    package var refusalsOfAddress = 50
    /// Wrong passwords of one address for one station within a minute; further ones are not checked.
    package var wrongPasswordsAMinute = 10
    /// The same of one address, or of one network of IPv6, for all stations together; right ones are
    /// taken all the same. 0: no bound.
    package var wrongPasswordsOfAddress = 100
    /// Pairs of address and station that are remembered for it.
    package var wrongPasswordPairs = 10_000
    /// Replacements from changing addresses within five minutes; then the station is held off.
    package var replacementsInFiveMinutes = 6
    /// Connections of one station within an hour; then it is held off. 0: no bound.
    package var connectsAnHour = 60
    /// How long a station is held off, unless the operator lifts it.
    package var holdSeconds: Int64 = 3600
    /// Messages of one station a second, over a burst; then its socket is not read for a while and
    /// nothing is dropped. 0: no bound.
    package var messagesPerSecond = 20
    package var messageBurst = 200

    /// Whether stations' local lists are kept in step with the tokens, where nobody decided for one.
    package var keepsLocalLists = false
    /// How long a station is left in peace after it connected, before its list and cache.
    package var upkeepPauseMilliseconds: Int64 = 15_000
    /// How long lists wait for more changes of tokens.
    package var listPauseMilliseconds: Int64 = 5000

    /// nil: no board can enrol here.
    package var enrolment: EnrolmentSettings?

    /// nil: certificates of stations are somebody else's.
    package var authority: AuthoritySettings?
    /// nil: files come from and go to elsewhere.
    package var files: FileSettings?

    package init() {}
}

/// What becomes of a registered station without a password when somebody comes by its id with one.
package enum FirstPasswords: String, Hashable, Sendable, Codable, CaseIterable {
    /// It waits in the inbox until a person has looked.
    case inbox
    /// Whoever comes first is the station.
    case take
}
