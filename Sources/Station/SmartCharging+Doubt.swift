import Charging
import Service

// A profile that damage took from the journal may have been the operator's maximum. Without it more
// would flow than he allowed, and he would not know.
extension SmartCharging {
    /// The journal's key of it; anything but `noDoubt` is a doubt.
    static let profilesKey = "profiles.lost"
    private static let noDoubt = "off"
    static let lostProfilesText =
        "a limit of the operator may be lost: the safe share counts (without `safeAmperes` each outlet's "
        + "least) until he sets or clears the station's maximum, or a person says `kerb-edge limit off`"

    /// A limit was lost, and the safe share is the whole fuse, as where `safeAmperes` is not set: it bounds
    /// nothing. Each outlet gets its least then.
    var holdsLeast: Bool {
        (areProfilesDoubted || isHeldLimitUnread) && settings.safe >= settings.fuse
    }

    func readProfileDoubt(_ text: String?) async {
        guard let text else {
            // From now on a row that is missing is one that was lost.
            do { try await journal.set(Self.profilesKey, to: Self.noDoubt) } catch {
                log.warning("journal not written", ["error": String(describing: error)])
            }
            return
        }
        guard text != Self.noDoubt else { return }
        areProfilesDoubted = true
        log.error("profile lost, the safe share counts", ["mend": Self.lostProfilesText])
    }

    /// Whether these are words of the operator about what bounds the station, which may be what was lost:
    /// a profile of one outlet or charge says nothing of it.
    static func endsDoubt(_ filter: ProfileFilter) -> Bool {
        filter.id == nil && filter.stackLevel == nil && filter.connector ?? 0 == 0
            && filter.purpose ?? .stationMaximum == .stationMaximum
    }

    /// The operator has said what counts, or a person on site has decided. Where the disk does not take it, the doubt goes on.
    func endProfileDoubt() async {
        guard areProfilesDoubted else { return }
        do {
            try await journal.set(Self.profilesKey, to: Self.noDoubt)
            areProfilesDoubted = false
            log.notice("profiles said again")
        } catch {
            log.warning("journal not written", ["error": String(describing: error)])
        }
        await step()
    }
}
