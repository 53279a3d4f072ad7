# shellcheck shell=sh
# Sourced by what compares the rows of a database with the objects of a store.

# dangling BUCKETS KEYS REFERENCES INNER: prints a line KIND<tab>ROW<tab>URI for each reference that leads to nothing. A
# directory is there if an object is below it. What a task or an output says about buckets of others is not checked.
#
# BUCKETS     file with the names of the stack's own buckets
# KEYS        file with a line BUCKET/KEY for each object
# REFERENCES  file that references.sql has written
# INNER       file with the references inside of cached outputs, each with a shorter name that may be meant
dangling() {
  awk -F '\t' '
    FILENAME == ARGV[1] { own[$0] = 1; next }
    FILENAME == ARGV[2] {
      known[$0] = 1
      path = $0
      while (match(path, /\/[^\/]*$/)) { path = substr(path, 1, RSTART - 1); known[path] = known[path "/"] = 1 }
      next
    }
    $3 !~ /^s3:\/\// || substr($3, 6) in known || substr($4, 6) in known { next }
    ($1 == "task" || FILENAME == ARGV[4]) && !(bucket($3) in own) { next }
    { print $1 "\t" $2 "\t" $3 }
    function bucket(uri) { split(uri, part, "/"); return part[3] }
  ' "$1" "$2" "$3" "$4" | sort -u
}
