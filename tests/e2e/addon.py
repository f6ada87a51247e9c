# SPDX-License-Identifier: GPL-3.0-or-later
"""What the add-on keeps beside the scene: chat, tasks and its own entry in the users' table, with all that it does wrong.

Its memory is that of one Blender: it outlives sessions, and is told apart from the connection (`client`).
"""

import json
import time
from datetime import datetime

CHAT_KEPT, CHAT_SENT = 500, 10


class Addon:
    def __init__(self, client):
        self.client = client
        self.messages = []  # (id, username, message)
        self.unread = 0
        self.tasks = {}
        self._last_id = 0.0
        self.view = 0
        self.echoed = 0  # bytes of chat and tasks that went back with the view

    @property
    def name(self):
        return self.client.name

    def new_id(self):
        """The time as text, as the add-on does it; two in a row never have the same."""
        self._last_id = max(time.time(), self._last_id + 0.000001)
        return str(self._last_id), self._last_id

    def texts(self):
        return [m["message"] for m in self.messages]

    # chat

    def say(self, text):
        ident, stamp = self.new_id()
        self.messages.append({"id": ident, "username": self.name, "message": text, "msg_type": "text", "metadata": {},
                              "timestamp": stamp})
        del self.messages[:-CHAT_KEPT]
        self.unread += 1
        self.client.metadata(chat_messages=json.dumps(self.messages[-CHAT_SENT:]))

    def read_chat(self):
        """When the panel is opened. One item that cannot be read ends the list that it is in."""
        for username, user in self.client.users.items():
            text = user.get("metadata", {}).get("chat_messages")
            if not text:
                continue
            try:
                for item in json.loads(text):
                    if any(m["id"] == item["id"] for m in self.messages):
                        continue
                    message = {"id": item["id"], "username": item["username"], "message": item["message"],
                               "msg_type": item.get("msg_type", "text"), "metadata": item.get("metadata", {}),
                               "timestamp": item["timestamp"]}
                    datetime.fromtimestamp(message["timestamp"])
                    self.messages.append(message)
                    if message["username"] != username:
                        self.unread += 1
            except (KeyError, TypeError, ValueError, AttributeError, OverflowError):
                pass
        del self.messages[:-CHAT_KEPT]
        return self.texts()

    # tasks

    def _sync_tasks(self):
        self.client.metadata(tasks=json.dumps(self.tasks))

    def read_tasks(self):
        """Whenever the panel is drawn: what is not known is added, what is known stays as it is."""
        for user in self.client.users.values():
            text = user.get("metadata", {}).get("tasks")
            if not text:
                continue
            try:
                for item in json.loads(text).values():
                    task = {"id": item["id"], "title": item["title"], "description": item.get("description", ""),
                            "assigned_to": item.get("assigned_to", ""), "status": item.get("status", "todo"),
                            "created_by": item.get("created_by", ""), "created_at": item.get("created_at", time.time()),
                            "object_name": item.get("object_name", "")}
                    self.tasks.setdefault(task["id"], task)
            except (KeyError, TypeError, ValueError, AttributeError):
                pass
        return self.states()

    def states(self):
        return {t["title"]: t["status"] for t in self.tasks.values()}

    def _find(self, title):
        return next(i for i, t in self.tasks.items() if t["title"] == title)

    def add_task(self, title):
        ident, stamp = self.new_id()
        self.tasks[ident] = {"id": ident, "title": title, "description": "", "assigned_to": "", "status": "todo",
                             "created_by": self.name, "created_at": stamp, "object_name": ""}
        self._sync_tasks()

    def set_status(self, title, status):
        self.tasks[self._find(title)]["status"] = status
        self._sync_tasks()

    def delete_task(self, title):
        del self.tasks[self._find(title)]
        self._sync_tasks()

    # its own entry

    def move_view(self):
        """The timer: tells everything when it has told nothing yet, else sends its whole own entry, with a new view."""
        own = self.client.users[self.name]["metadata"]
        self.view += 1
        if "color" not in own:
            self.client.metadata(view_corners=[self.view], view_matrix=[self.view], color=(0.5, 0.5, 0.5, 1),
                                 frame_current=1, scene_current="Scene", mode_current="OBJECT")
            return
        if own["scene_current"] != "Scene" or own["mode_current"] != "OBJECT":
            raise KeyError("the add-on leaves the session")
        if "view_corners" in own:
            own["view_corners"] = own["view_matrix"] = [self.view]
            self.client.metadata(**own)
            self.echoed += len(own.get("chat_messages", "")) + len(own.get("tasks", ""))

    # what the server tells it

    def told_chat(self):
        """Everything that is there to be read now, in the order in which it is read."""
        blank = Addon(self.client)
        return blank.read_chat()

    def told_tasks(self):
        blank = Addon(self.client)
        return blank.read_tasks()
