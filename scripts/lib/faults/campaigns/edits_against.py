"""Edits of the index that break it: it has to be mended, and nothing of what was promised may be
lost.
"""

import os

# An index without jobs, to which a link leads.
EMPTY = '{"jobs":[]}\n'


class EditsAgainst:
    """A part of the campaign `edits`."""

    def edits_against(self):
        return (
            self.stale,
            self.not_a_number,
            self.half,
            self.empty,
            self.noise,
            self.delete,
            self.double,
            self.null,
            self.unknown_status,
            self.link,
            self.directory,
        )

    def put(self, stage, data, locked=True):
        """Puts these bytes in the place of the index; without the lock others may come between."""
        folder = stage.site.folder
        if locked:
            with folder.locked():
                folder.replace_index(data)
        else:
            folder.replace_index(data)

    def stale(self, stage):
        """Without the lock: whatever was committed between reading and renaming is undone."""
        data = stage.site.folder.read("request", "status.json")
        stage.sleep(0.02, 0.3)
        self.put(stage, data, locked=False)

    def not_a_number(self, stage):
        data = stage.site.folder.read("request", "status.json")
        self.put(stage, data.replace(b'"status":', b'"x":NaN,"status":', 1))

    def half(self, stage):
        """Cut in place, as by an editor that was killed."""
        path = stage.site.folder.index_path
        with open(path, "r+b") as file:
            file.truncate(stage.dice.randrange(1, os.path.getsize(path)))

    def empty(self, stage):
        with open(stage.site.folder.index_path, "r+b") as file:
            file.truncate(0)

    def noise(self, stage):
        self.put(stage, stage.dice.randbytes(stage.dice.randrange(1, 4000)))

    def delete(self, stage):
        os.unlink(stage.site.folder.index_path)

    def change_jobs(self, stage, change):
        def change_all(document):
            jobs = document["jobs"]
            place = stage.dice.randrange(len(jobs))
            # What others had added to this entry goes with it.
            stage.notes["keys"].pop(jobs[place]["uuid"], None)
            change(jobs, place)

        stage.site.folder.edit(change_all)

    def double(self, stage):
        self.change_jobs(
            stage,
            lambda jobs, place: jobs.insert(stage.dice.randrange(len(jobs)), dict(jobs[place])),
        )

    def null(self, stage):
        self.change_jobs(stage, lambda jobs, place: jobs.__setitem__(place, None))

    def unknown_status(self, stage):
        self.change_jobs(stage, lambda jobs, place: jobs[place].update(status="finished"))

    def link(self, stage):
        """A link out of the folder in the place of the index: it is not followed."""
        outside = stage.site.at(f"outside-{self.rounds}")
        with open(outside, "w") as file:
            file.write(EMPTY)
        folder = stage.site.folder
        with folder.locked():
            os.unlink(folder.index_path)
            os.symlink(outside, folder.index_path)
        stage.notes["outside"].append(outside)

    def directory(self, stage):
        folder = stage.site.folder
        with folder.locked():
            os.unlink(folder.index_path)
            os.mkdir(folder.index_path)
