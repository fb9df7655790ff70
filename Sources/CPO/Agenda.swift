/// Who is to be looked at when. While nobody is due it costs nothing, however many there are.
///
/// Times are of the monotonic clock, in milliseconds.
struct Agenda<Key: Hashable & Sendable>: Sendable {
    private struct Entry: Sendable {
        var at: Int64
        var key: Key
    }

    /// A heap, the earliest first. An entry that says another time than `times` is out of date.
    private var heap: [Entry] = []
    private var times: [Key: Int64] = [:]

    var count: Int { times.count }
    var keys: Dictionary<Key, Int64>.Keys { times.keys }

    func time(of key: Key) -> Int64? { times[key] }

    /// It is due then, if it is not due earlier already.
    mutating func hasten(_ key: Key, at: Int64) {
        if let known = times[key], known <= at { return }
        times[key] = at
        // What is out of date goes once it is more than half of all.
        if heap.count > 2 * times.count + 64 {
            heap = times.map { Entry(at: $0.value, key: $0.key) }
            for place in heap.indices.reversed() { sink(place) }
        } else {
            heap.append(Entry(at: at, key: key))
            rise(heap.count - 1)
        }
    }

    mutating func remove(_ key: Key) { times[key] = nil }

    /// Those that are due, earliest first; they stand here no more.
    mutating func takeDue(at now: Int64, most: Int = .max) -> [Key] {
        var due: [Key] = []
        while due.count < most, let first = heap.first, first.at <= now {
            heap.swapAt(0, heap.count - 1)
            heap.removeLast()
            sink(0)
            guard times[first.key] == first.at else { continue }
            times[first.key] = nil
            due.append(first.key)
        }
        return due
    }

    private mutating func rise(_ start: Int) {
        var place = start
        while place > 0 {
            let above = (place - 1) / 2
            guard heap[place].at < heap[above].at else { return }
            heap.swapAt(place, above)
            place = above
        }
    }

    private mutating func sink(_ start: Int) {
        var place = start
        while true {
            var least = place
            for below in [2 * place + 1, 2 * place + 2] where below < heap.count {
                if heap[below].at < heap[least].at { least = below }
            }
            guard least != place else { return }
            heap.swapAt(place, least)
            place = least
        }
    }
}
