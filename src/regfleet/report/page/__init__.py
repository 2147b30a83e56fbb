"""What `report.html` is made of: its rows and its picture as values, and template, CSS and script.

Pure; `regfleet.report.html` puts them together.
"""
