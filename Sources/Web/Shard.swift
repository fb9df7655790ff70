/// One event loop's thread as an actor: it owns the loop's connections and everything about them.
package actor Shard {}
