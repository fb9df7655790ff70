/// Every duration the connector's safety depends on, in milliseconds, each with where it comes from.
///
/// Names are of products whose firmware is public: EVerest, Tinkerforge's WARP, SmartEVSE, OpenEVSE,
/// chargebyte's board support. What says "ours" follows from the others, by the reason given.
///
/// Known from them and not taken over:
/// - F for 5 s before the plug is unlocked (EVerest): here the lock waits for the contactor to read open and
///   for nothing else; a weld keeps it locked for good.
/// - A trip of the residual current device tried again every 5 min, at most six times (OpenEVSE): a trip
///   stays until a person has looked, for the next try would be somebody's shock.
/// - Its input ignored for 1 s after a switch (WARP): a true fault shows in just that second. An input that
///   takes the relay's own noise for a trip wants a filter on the board.
/// - Waking a car by E or F for 4 s (EVerest, WARP): old hybrids latch on F, many boards cannot show it; X1
///   for `wakeShows` is what Annex A has for it.
package enum ConnectorTimings {
    /// State C must have stood this long before the contactor closes; below the 3 s of
    /// IEC 61851-1 Table A.6 sequence 4, above the 250 ms blips seen from cars in the field.
    package static let pilotSettles: Int64 = 500
    /// From the pilot's step to X1 until the contactor is opened under whatever current is left:
    /// 6 s in IEC 61851-1 Table A.6 sequence 10.2, less two ticks so that it is never exceeded.
    package static let windDownEnds: Int64 = 5_800
    /// Below this on every phase the contactor opens before `windDownEnds`. Ours: what a car's
    /// electronics and a meter's error leave; a contactor for 32 A breaks it without wear.
    package static let idleMilliamperes: Int64 = 500
    /// Between two closings: spares the contactor's contacts and the car's inrush limiter. chargebyte.
    package static let betweenClosings: Int64 = 10_000
    /// After a fault nothing closes for this long: what tripped has time to show itself again. WARP.
    package static let afterFault: Int64 = 30_000
    /// The same after over-current: contacts and cable cool down. SmartEVSE.
    package static let afterOverCurrent: Int64 = 60_000
    /// A self-test of the residual current device that is not answered within this was not run. Ours:
    /// WARP's takes 2.05 s, and on a bus it is asked for up to three times.
    package static let selfTestLasts: Int64 = 10_000
    /// A self-test that could not be run is tried again after this. Ours: it trips nothing, and an
    /// installer waits for it.
    package static let selfTestRetries: Int64 = 60_000
    /// One that another outlet on the same sensor put off is looked at again after this. Ours: the
    /// length of one test.
    package static let selfTestPostponed: Int64 = 2_000
    /// After a closing the voltages have this long to settle before they are judged. Ours: two readings
    /// at the usual second.
    package static let supplySettles: Int64 = 2_000
    /// Voltages out of their bounds for this long are a fault of the supply; a motor's start is not.
    /// Ours: three readings; EN 50160 lets a dip last longer, which no car is charged through.
    package static let supplyLasts: Int64 = 3_000
    /// Voltages within their bounds for this long end it. Ours: as `afterFault`.
    package static let supplyRecovers: Int64 = 30_000
    /// A sleeping car is shown X1 for this long before current is offered again. IEC 61851-1 Annex A
    /// lets a car take 3 s to see it.
    package static let wakeShows: Int64 = 3_000
    /// The duty may change at most this often; a car has 5 s to follow one. IEC 61851-1 Annex A.
    package static let betweenDutyChanges: Int64 = 5_000
    /// F lasts at least this long after a fault. IEC 61851-1 Annex A.5.
    package static let faultSignalLasts: Int64 = 300
    /// A pilot in E or F opens at once; it is called a fault when it lasts. Ours: as `pilotSettles`, so
    /// that a plug being pulled is no fault.
    package static let pilotFaultSettles: Int64 = 500
    /// A reading older than this starts nothing and closes nothing. Ours: one cycle of the slowest poll
    /// (2 s) with its three tries of 300 ms.
    package static let meterIsFresh: Int64 = 3_000
    /// A meter silent this long while charging ends the session: two failed cycles (EVerest, after
    /// EVerest/EVerest#2673) of the slowest poll with its tries, 2 × (2 s + 3 × 300 ms). Less than
    /// `overCurrentLasts`: no current goes unwatched for longer than a watched one may be too high.
    package static let meterIsLost: Int64 = 6_000
    /// How long the board waits for its first reading of every input before it calls one missing.
    /// EVerest waits as long for the first meter value.
    package static let firstReadings: Int64 = 5_000
    /// So often a closed contactor may fall by itself within one charge (a dead-man, a dip of the
    /// coil's supply) before it is called stuck and a person has to look. Ours.
    package static let fallsPerCharge = 3
    /// An input not heard of for this long is lost, whoever hangs: driver, bus or kernel. Ours: four
    /// rounds of a slow bus with two controllers and a relay card; OpenEVSE's watchdog waits as long.
    package static let inputIsLost: Int64 = 2_000
    /// Temperature changes slowly and is read seldom. Ours: four polls of five seconds.
    package static let temperatureIsLost: Int64 = 20_000
    /// A site's limit that nobody repeated for this long counts no more: whoever shares the fuse hangs.
    /// As long as a silent site meter (`SiteLoad.isLost`), so that one reaction time holds for both.
    /// Ours, and less than SmartEVSE's 11 s and WARP's 30 s.
    package static let siteLimitIsLost: Int64 = 5_000
    /// A fault shorter than this takes no driver's reservation away. Ours; see Sources/README.md.
    package static let reservationOutlivesFault: Int64 = 60_000
    /// Current above limit × 1.10 + 0.5 A for this long is over-current. EVerest; a car may take 5 s to
    /// follow a new duty.
    package static let overCurrentLasts: Int64 = 7_000
    /// The lock must confirm within this. Ours: EVerest and boards pulse 0.6 s and try again.
    package static let lockConfirms: Int64 = 3_000
    /// Where the mirror contact cannot be read, an opening is taken as done after this: longer than
    /// any dead-man (1 s), so that by then the relay has fallen without us.
    package static let openingIsAssumed: Int64 = 2_000
    /// After the relay opened, how long the closing register is waited for before the last good
    /// reading stands in for it. Ours: several polls and the tries of a bus's circuit breaker.
    package static let finalRegisterWaits: Int64 = 15_000
    /// The same after a restart, when buses and meters have to wake up first. Ours.
    package static let recoveredRegisterWaits: Int64 = 30_000
    /// A journal write that failed is tried again after this. Ours.
    package static let journalRetries: Int64 = 1_000
    /// The last register of a running session is kept on disk this often. Ours: at 22 kW 92 Wh, and a
    /// tenth of the writes a board's flash is asked to bear.
    package static let registerIsKept: Int64 = 15_000
    /// The register on the disk may be this much older than the last reading: twice two writes that
    /// wait for each other, and any dead-man's time. Ours.
    package static let registerLags: Int64 = 4 * registerIsKept
    /// An authorisation that is never answered is given up after this. Ours: twice a call's patience.
    package static let authorizationWaits: Int64 = 60_000
    /// A charge that may go on after a restart asks about its token so often. Ours.
    package static let resumptionAsks: Int64 = 5_000
    /// A suspended state shorter than this is not reported: every start passes through one. Ours.
    package static let suspensionSettles: Int64 = 1_500
    /// How long a stop waits for the meter's signed record before it goes without. Ours; see
    /// Sources/README.md.
    package static let signedRecordWaits: Int64 = 10_000
}
